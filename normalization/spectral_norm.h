#pragma once

#include "normalization/power_iteration.h"
#include "normalization/spectral_parametrization.h"

namespace sgan {

// Spectral normalization (Miyato et al. 2018, section 2.1 and algorithm 1): σ̂ = uᵀ R v, where R is the weight reshaped
// to (outputs, everything else) and u, v approximate its leading singular vectors, with power iterations as in
// torch.nn.utils.parametrizations.spectral_norm.
//
// σ̂ ≤ σ(R), and σ(R) is not the norm of a convolution: a network normalized this way is not 1-Lipschitz.
// State: `original`, `0._u` (outputs), `0._v` (everything else).
class SpectralNormImpl : public SpectralParametrizationImpl {
 public:
  // shape: of the weight; output_dim: which of its dimensions counts the outputs.
  SpectralNormImpl(const std::vector<int64_t>& shape, int64_t output_dim, const SpectralOptions& options);

  // R, a matrix (outputs, everything else).
  torch::Tensor reshaped() const;

 private:
  torch::Tensor estimate() const override;
  void power_step() override;

  // R for a weight with its channels last, which costs no copy: its columns in the order of memory, (kh, kw, in) and
  // not (in, kh, kw), and a vector like v put in that order and back.
  bool has_channels_last() const;
  torch::Tensor reshaped_as_it_lies() const;
  torch::Tensor to_memory_order(const torch::Tensor& v) const;
  torch::Tensor from_memory_order(const torch::Tensor& v) const;

  int64_t output_dim_;
  SingularPair pair_;
};
TORCH_MODULE(SpectralNorm);

}  // namespace sgan
