#include "lipschitz/reshape_bounds.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "lipschitz/reshaped_sigma.h"

namespace sgan {
namespace {

// Whether a window of `kernel` pixels lies in [0, size), windows starting at s·j − padding, 0 ≤ j < count.
bool a_window_lies_inside(int64_t kernel, int64_t stride, int64_t padding, int64_t size, int64_t count) {
  const int64_t first = padding > 0 ? (padding + stride - 1) / stride : 0;
  return first < count && first * stride - padding + kernel <= size;
}

// The most windows of the convolution that share a pixel, along one axis.
int64_t overlap(const Convolution& t) {
  int64_t most = 0;
  for (int64_t pixel = 0; pixel < t.in_size; ++pixel) {
    int64_t windows = 0;
    for (int64_t tap = (pixel + t.padding) % t.stride; tap < t.kernel(); tap += t.stride) {
      const int64_t position = pixel + t.padding - tap;
      windows += position >= 0 && position / t.stride < t.out_size;
    }
    most = std::max(most, windows);
  }
  return most;
}

}  // namespace

torch::Tensor polyphase_kernel(const torch::Tensor& weight, int64_t stride) {
  const int64_t outputs = weight.size(0);
  const int64_t inputs = weight.size(1);
  const int64_t taps = (weight.size(2) + stride - 1) / stride;
  const int64_t missing = taps * stride - weight.size(2);
  return at::constant_pad_nd(weight, {0, missing, 0, missing})
      .view({outputs, inputs, taps, stride, taps, stride})
      .permute({0, 1, 3, 5, 2, 4})
      .reshape({outputs, inputs * stride * stride, taps, taps});
}

bool reshaped_sigma_is_lower_bound(const OperatorGeometry& geometry) {
  const auto& g = geometry;
  switch (g.kind) {
    case OperatorKind::linear:
      return true;
    case OperatorKind::conv:
      return a_window_lies_inside(g.kernel, g.stride, g.padding, g.in_size, g.out_size());
    case OperatorKind::conv_transpose:
      // With a stride no output reads all taps. Without, it is the convolution with the kernel turned over.
      return g.stride == 1 && a_window_lies_inside(g.kernel, 1, g.kernel - 1 - g.padding, g.in_size, g.out_size());
  }
  return false;
}

double overlap_bound(const Convolution& convolution) {
  return static_cast<double>(overlap(convolution)) * reshaped_sigma(convolution.weight, 0).item<double>();
}

double four_reshapes_bound(const Convolution& convolution) {
  const auto kernel = polyphase_kernel(convolution.weight, convolution.stride);  // dimensions: out, in, y, x
  const std::vector<std::vector<int64_t>> rows_first = {{0, 1, 2, 3}, {1, 0, 2, 3}, {0, 2, 1, 3}, {0, 3, 1, 2}};
  double least = INFINITY;
  for (size_t i = 0; i < rows_first.size(); ++i) {
    const auto permuted = kernel.permute(rows_first[i]);
    const auto matrix = i < 2 ? permuted.flatten(1) : permuted.flatten(2).flatten(0, 1);
    least = std::min(least, reshaped_sigma(matrix, 0).item<double>());
  }
  return static_cast<double>(kernel.size(2)) * least;
}

}  // namespace sgan
