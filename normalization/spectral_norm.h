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

  // For whoever computes several together (normalization/spectral_group.h): the weight, its vectors, which are the
  // state itself, and the rest of what decides the results.
  using SpectralParametrizationImpl::options;
  using SpectralParametrizationImpl::original;
  const SingularPair& pair() const { return pair_; }
  int64_t output_dim() const { return output_dim_; }

 private:
  torch::Tensor estimate() const override;
  void power_step() override;

  int64_t output_dim_;
  SingularPair pair_;
};
TORCH_MODULE(SpectralNorm);

}  // namespace sgan
