#include "normalization/operator_geometry.h"

namespace sgan {

int64_t OperatorGeometry::out_size() const {
  switch (kind) {
    case OperatorKind::linear:
      return 1;
    case OperatorKind::conv:
      return (in_size + 2 * padding - kernel) / stride + 1;
    case OperatorKind::conv_transpose:
      return (in_size - 1) * stride - 2 * padding + kernel;
  }
  return 0;
}

std::vector<int64_t> OperatorGeometry::weight_shape() const {
  switch (kind) {
    case OperatorKind::linear:
      return {out_channels, in_channels};
    case OperatorKind::conv:
      return {out_channels, in_channels, kernel, kernel};
    case OperatorKind::conv_transpose:
      return {in_channels, out_channels, kernel, kernel};
  }
  return {};
}

int64_t OperatorGeometry::fan_in() const {
  return weight_shape()[1] * kernel * kernel;
}

int64_t OperatorGeometry::fan_out() const {
  return weight_shape()[0] * kernel * kernel;
}

int64_t OperatorGeometry::multiply_adds() const {
  // A transposed convolution multiplies the kernel with every input pixel, the others with every output pixel.
  const auto side = kind == OperatorKind::conv_transpose ? in_size : out_size();
  return in_channels * out_channels * kernel * kernel * side * side;
}

}  // namespace sgan
