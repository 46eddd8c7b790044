#include "lipschitz/convolution.h"

#include <ATen/ATen.h>

namespace sgan {
namespace {

bool is_a_layer(const OperatorGeometry& g) {
  const bool kernel_fits = g.kind != OperatorKind::conv || g.in_size + 2 * g.padding >= g.kernel;
  return g.kernel > 0 && g.stride > 0 && g.padding >= 0 && g.in_size > 0 && kernel_fits && g.out_size() > 0;
}

}  // namespace

torch::Tensor Convolution::apply(const torch::Tensor& x) const {
  return at::conv2d(x, weight, {}, {stride, stride}, {padding, padding});
}

torch::Tensor Convolution::apply_adjoint(const torch::Tensor& y) const {
  // Input rows and columns past the last window, which the forward direction never reads.
  const int64_t unread = in_size - ((out_size - 1) * stride - 2 * padding + kernel());
  return at::conv_transpose2d(y, weight, {}, {stride, stride}, {padding, padding}, {unread, unread});
}

Convolution norm_equivalent_convolution(const torch::Tensor& weight, const OperatorGeometry& geometry) {
  TORCH_CHECK(weight.sizes() == geometry.weight_shape(), "expected a weight of sizes ", geometry.weight_shape(),
              ", got ", weight.sizes());
  TORCH_CHECK(is_a_layer(geometry), "no layer has kernel ", geometry.kernel, ", stride ", geometry.stride, ", padding ",
              geometry.padding, " on ", geometry.in_size, " pixels");
  const auto exact = weight.detach().to(torch::kDouble);
  switch (geometry.kind) {
    case OperatorKind::linear:
      return {exact.unsqueeze(2).unsqueeze(3)};
    case OperatorKind::conv:
      return {exact, geometry.stride, geometry.padding, geometry.in_size, geometry.out_size()};
    case OperatorKind::conv_transpose:
      return {exact, geometry.stride, geometry.padding, geometry.out_size(), geometry.in_size};
  }
  return {};
}

}  // namespace sgan
