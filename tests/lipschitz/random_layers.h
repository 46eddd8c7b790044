#pragma once

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <string>

#include "lipschitz/dense_operator.h"
#include "normalization/operator_geometry.h"
#include "run/random_streams.h"

namespace sgan {

struct RandomLayer {
  OperatorGeometry geometry;
  torch::Tensor weight;  // float32, as checkpoints hold it
};

inline std::string describe(const OperatorGeometry& g) {
  return fmt::format("{} {}->{} k{} s{} p{} on {}", g.kind == OperatorKind::conv ? "conv" : "conv_transpose",
                     g.in_channels, g.out_channels, g.kernel, g.stride, g.padding, g.in_size);
}

// The i-th of a fixed sequence of small convolutions, every other one transposed: kernel 1 to 5, stride 1 to 3, padding
// 0 to the kernel (k − 1 is the most that is ever useful), 1 to 9 pixels, kernels larger than the image among them;
// some with a constant kernel, whose norm lies at frequency zero and is closest to the bounds.
inline RandomLayer random_layer(uint64_t i) {
  std::mt19937_64 random(i);
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  OperatorGeometry geometry;
  do {
    geometry.kind = i % 2 == 0 ? OperatorKind::conv : OperatorKind::conv_transpose;
    geometry.in_channels = draw(1, 4);
    geometry.out_channels = draw(1, 4);
    geometry.kernel = draw(1, 5);
    geometry.stride = draw(1, 3);
    geometry.padding = draw(0, geometry.kernel);
    geometry.in_size = draw(1, 9);
  } while (geometry.out_size() < 1 || geometry.out_size() > 20 ||
           (geometry.kind == OperatorKind::conv && geometry.in_size + 2 * geometry.padding < geometry.kernel));
  auto weight = torch::randn(geometry.weight_shape(), make_generator(i, torch::kCPU));
  if (i % 5 == 0) weight = weight.mean({2, 3}, true).expand(geometry.weight_shape()).contiguous();
  return {geometry, weight};
}

// The largest singular value of the layer as a dense matrix.
inline double dense_norm(const torch::Tensor& weight, const OperatorGeometry& geometry) {
  return torch::linalg_svdvals(dense_operator(weight, geometry))[0].item<double>();
}

}  // namespace sgan
