#pragma once

#include "normalization/weight_parametrization.h"

namespace sgan {

// Spectral normalization (Miyato et al. 2018, section 2.1 and algorithm 1): W̄ = W / σ̂ with σ̂ = uᵀ R v, where R is the
// weight reshaped to (outputs, everything else) and u, v approximate its leading singular vectors. One advance() is
// `power_iterations` steps  u ← R v / ‖R v‖,  v ← Rᵀ u / ‖Rᵀ u‖,  as in torch.nn.utils.parametrizations.spectral_norm.
//
// σ̂ ≤ σ(R), and σ(R) is not the norm of a convolution: a network normalized this way is not 1-Lipschitz.
// u and v count as constants in the gradient. State: `original`, `0._u` (outputs), `0._v` (everything else).
class SpectralNormImpl : public WeightParametrizationImpl {
 public:
  // shape: of the weight; output_dim: which of its dimensions counts the outputs.
  SpectralNormImpl(const std::vector<int64_t>& shape, int64_t output_dim, const SpectralOptions& options);

  torch::Tensor effective() const override;
  void advance() override;
  torch::Tensor sigma() const override;
  void initialize(const torch::Tensor& weight, at::Generator generator) override;

  // R, a matrix (outputs, everything else).
  torch::Tensor reshaped() const;

 private:
  torch::Tensor estimate() const;
  void power_step();

  SpectralOptions options_;
  int64_t output_dim_;
  torch::Tensor original_;
  std::shared_ptr<torch::nn::Module> vectors_;
  torch::Tensor u_;
  torch::Tensor v_;
};
TORCH_MODULE(SpectralNorm);

}  // namespace sgan
