#pragma once

#include <array>

#include "normalization/operator_geometry.h"
#include "normalization/power_iteration.h"
#include "normalization/spectral_parametrization.h"

namespace sgan {

// Bidirectional scaled spectral normalization (Lin, Sekar & Fanti 2021, and the authors' code): W̄ = K·c·W / σ̂ with
// c = options.scale and σ̂ the mean of two reshapes' largest singular values, (out × in·k²) and (in × out·k²). The first
// keeps what flows forward in size, the second what flows back. On a linear layer, where the two are one, it is
// spectral normalization times c.
// State: `original`; of the first reshape `0._u` (out) and `0._v`, as spectral normalization has them; of the second
// `0._u_in` (in) and `0._v_in`.
class SpectralBidirectionalNormImpl : public SpectralParametrizationImpl {
 public:
  SpectralBidirectionalNormImpl(const OperatorGeometry& geometry, const SpectralOptions& options);

 private:
  struct Direction {
    int64_t rows;  // dimension of the weight that the reshaped matrix has as its rows
    SingularPair pair;
  };

  torch::Tensor estimate() const override;
  void power_step() override;

  std::array<Direction, 2> directions_;
};
TORCH_MODULE(SpectralBidirectionalNorm);

}  // namespace sgan
