#include "lipschitz/dense_operator.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <algorithm>
#include <vector>

namespace sgan {
namespace {

torch::Tensor apply_layer(const torch::Tensor& weight, const OperatorGeometry& geometry, const torch::Tensor& x) {
  const auto stride = geometry.stride;
  const auto padding = geometry.padding;
  switch (geometry.kind) {
    case OperatorKind::linear:
      return at::linear(x.flatten(1), weight);
    case OperatorKind::conv:
      return at::conv2d(x, weight, {}, {stride, stride}, {padding, padding});
    case OperatorKind::conv_transpose:
      return at::conv_transpose2d(x, weight, {}, {stride, stride}, {padding, padding});
  }
  return {};
}

// Where along one axis the pair of taps (a, b) adds to the Gram matrix: at (row + t·step, column + t·step), t < count.
struct TapDiagonal {
  int64_t row;
  int64_t column;
  int64_t step;
  int64_t count;
};

int64_t ceil_div(int64_t a, int64_t b) {
  return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

// TᵀT: one output j reads the inputs s·j + a − p and s·j + b − p.
TapDiagonal input_diagonal(const Convolution& t, int64_t a, int64_t b) {
  const int64_t first = std::max<int64_t>(0, ceil_div(t.padding - std::min(a, b), t.stride));
  const int64_t end = std::min(t.out_size, ceil_div(t.in_size + t.padding - std::max(a, b), t.stride));
  const int64_t origin = t.stride * first - t.padding;
  return {origin + a, origin + b, t.stride, end - first};
}

// TTᵀ: the outputs j and j + (a − b)/s read one input s·j + a − p.
TapDiagonal output_diagonal(const Convolution& t, int64_t a, int64_t b) {
  if ((a - b) % t.stride != 0) return {0, 0, 1, 0};
  const int64_t shift = (a - b) / t.stride;
  const int64_t first = std::max({int64_t{0}, -shift, ceil_div(t.padding - a, t.stride)});
  const int64_t end = std::min({t.out_size, t.out_size - shift, ceil_div(t.in_size + t.padding - a, t.stride)});
  return {first, first + shift, 1, end - first};
}

}  // namespace

torch::Tensor dense_operator(const torch::Tensor& weight, const OperatorGeometry& geometry) {
  torch::NoGradGuard no_grad;
  const int64_t values = geometry.in_channels * geometry.in_size * geometry.in_size;
  const auto units = torch::eye(values, torch::TensorOptions(torch::kDouble).device(weight.device()))
                         .view({values, geometry.in_channels, geometry.in_size, geometry.in_size});
  std::vector<torch::Tensor> columns;
  for (const auto& batch : units.split(256)) {
    columns.push_back(apply_layer(weight.to(torch::kDouble), geometry, batch).flatten(1));
  }
  return torch::cat(columns).t().contiguous();
}

int64_t gram_side(const Convolution& convolution) {
  return std::min(convolution.in_values(), convolution.out_values());
}

torch::Tensor gram_matrix(const Convolution& convolution) {
  torch::NoGradGuard no_grad;
  const bool inputs = convolution.in_values() <= convolution.out_values();
  const auto diagonal = inputs ? input_diagonal : output_diagonal;
  const int64_t size = inputs ? convolution.in_size : convolution.out_size;
  const int64_t kernel = convolution.kernel();
  const auto taps =
      (inputs ? convolution.weight.permute({2, 3, 1, 0}) : convolution.weight.permute({2, 3, 0, 1})).contiguous();
  const int64_t channels = taps.size(2);
  const int64_t side = size * size * channels;
  auto gram = torch::zeros({side, side}, taps.options());  // positions before channels

  const auto add = [&](const TapDiagonal& y, const TapDiagonal& x, const torch::Tensor& product) {
    const int64_t row = (y.row * size + x.row) * channels;
    const int64_t column = (y.column * size + x.column) * channels;
    gram.as_strided({y.count, x.count, channels, channels},
                    {y.step * size * channels * (side + 1), x.step * channels * (side + 1), side, 1},
                    row * side + column)
        .add_(product);
  };
  for (int64_t ay = 0; ay < kernel; ++ay) {
    for (int64_t by = 0; by < kernel; ++by) {
      const auto y = diagonal(convolution, ay, by);
      for (int64_t ax = 0; ax < kernel && y.count > 0; ++ax) {
        for (int64_t bx = 0; bx < kernel; ++bx) {
          const auto x = diagonal(convolution, ax, bx);
          if (x.count > 0) add(y, x, torch::mm(taps[ay][ax], taps[by][bx].t()));
        }
      }
    }
  }
  return gram;
}

}  // namespace sgan
