#include "normalization/spectral_operator_norm.h"

#include <ATen/Context.h>
#include <ATen/ops/col2im.h>
#include <ATen/ops/im2col.h>
#include <torch/utils.h>

#include "normalization/power_iteration.h"

namespace sgan {
namespace {

std::vector<int64_t> input_shape(const OperatorGeometry& geometry) {
  if (geometry.kind == OperatorKind::linear) return {1, geometry.in_channels};
  return {1, geometry.in_channels, geometry.in_size, geometry.in_size};
}

// Pixels on a side of what the kernel's windows lie on.
int64_t image_size(const OperatorGeometry& geometry) {
  return geometry.kind == OperatorKind::conv_transpose ? geometry.out_size() : geometry.in_size;
}

}  // namespace

SpectralOperatorNormImpl::SpectralOperatorNormImpl(const OperatorGeometry& geometry, const SpectralOptions& options)
    : SpectralParametrizationImpl(geometry.weight_shape(), options),
      geometry_(geometry),
      x_(add_vector("_x", input_shape(geometry))) {}

// Convolutions here are products with patches, because NoTF32Guard keeps matrix products in full float32 and cuDNN's
// convolutions not. A linear layer is a 1×1 convolution of one pixel.
torch::Tensor SpectralOperatorNormImpl::patches_of(const torch::Tensor& image) const {
  const auto& [kind, in, out, kernel, stride, padding, size] = geometry_;
  const auto side = image_size(geometry_);
  return at::im2col(image.reshape({1, -1, side, side}), {kernel, kernel}, {1, 1}, {padding, padding}, {stride, stride})
      .squeeze(0);
}

torch::Tensor SpectralOperatorNormImpl::convolve(const torch::Tensor& image) const {
  return torch::mm(original().flatten(1), patches_of(image));
}

torch::Tensor SpectralOperatorNormImpl::convolve_adjoint(const torch::Tensor& values) const {
  const auto& [kind, in, out, kernel, stride, padding, size] = geometry_;
  const auto matrix = original().flatten(1);
  const auto patches = torch::mm(matrix.t(), values.reshape({matrix.size(0), -1}));
  const auto side = image_size(geometry_);
  return at::col2im(patches.unsqueeze(0), {side, side}, {kernel, kernel}, {1, 1}, {padding, padding}, {stride, stride});
}

torch::Tensor SpectralOperatorNormImpl::output_direction() const {
  const auto product = is_transposed() ? convolve_adjoint(x_) : convolve(x_);
  const auto norm = product.norm();
  return torch::where(norm > eps(), product / norm, torch::zeros_like(product));
}

torch::Tensor SpectralOperatorNormImpl::estimate() const {
  torch::Tensor gradient;  // ∂⟨y, T_W x⟩/∂W: as T_W x is linear in W, σ̂ is its inner product with W
  {
    torch::NoGradGuard no_grad;
    const at::NoTF32Guard full_precision;
    const auto y = output_direction();
    const auto& image = is_transposed() ? y : x_;
    const auto& values = is_transposed() ? x_ : y;
    const auto patches = patches_of(image);
    gradient = torch::mm(values.reshape({-1, patches.size(1)}), patches.t()).view_as(original());
  }
  return (original() * gradient).sum();
}

void SpectralOperatorNormImpl::power_step() {
  const at::NoTF32Guard full_precision;
  const auto y = output_direction();
  turn_towards(x_, (is_transposed() ? convolve(y) : convolve_adjoint(y)).view_as(x_), eps());
}

}  // namespace sgan
