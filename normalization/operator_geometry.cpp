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
  // PyTorch counts the weight's second dimension, which for a transposed convolution holds the outputs.
  const auto shape = weight_shape();
  return shape[1] * kernel * kernel;
}

}  // namespace sgan
