#pragma once

#include "normalization/operator_geometry.h"
#include "normalization/spectral_parametrization.h"

namespace sgan {

// Spectral normalization of the layer itself (Farnia et al. 2018; Tsuzuku et al. 2018; Ryu et al. 2019): σ̂ = ⟨y, T_W x⟩
// with y = T_W x / ‖T_W x‖, where T_W is the linear map that the layer's weight makes, with its stride, padding and
// image size, and x approximates its leading singular vector. A power iteration is x ← Tᵀ T x / ‖Tᵀ T x‖; x and y count
// as constants in the gradient.
//
// σ̂ ≤ ‖T‖ and converges to it; σ̂ alone certifies nothing. On linear layers ‖T‖ is σ(R) of spectral normalization.
// State: `original`, `0._x`, shaped as one input: (1, in, H, W), or (1, in) of a linear layer.
class SpectralOperatorNormImpl : public SpectralParametrizationImpl {
 public:
  SpectralOperatorNormImpl(const OperatorGeometry& geometry, const SpectralOptions& options);

 private:
  torch::Tensor estimate() const override;
  void power_step() override;

  // The convolution that the weight makes, and its adjoint, which a transposed layer is: image (1, C, H, W), values
  // (rows, positions).
  torch::Tensor convolve(const torch::Tensor& image) const;
  torch::Tensor convolve_adjoint(const torch::Tensor& values) const;
  torch::Tensor patches_of(const torch::Tensor& image) const;
  // y, of which ‖T x‖ at most eps makes zeros.
  torch::Tensor output_direction() const;
  bool is_transposed() const { return geometry_.kind == OperatorKind::conv_transpose; }

  OperatorGeometry geometry_;
  torch::Tensor x_;
};
TORCH_MODULE(SpectralOperatorNorm);

}  // namespace sgan
