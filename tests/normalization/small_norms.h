#pragma once

#include <vector>

#include "normalization/activation_norm.h"
#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"

namespace sgan {

using Shape = std::vector<int64_t>;

constexpr int64_t kChannels = 3;
const Shape kPoint{kChannels};
const Shape kImage{kChannels, 4, 2};

inline torch::Tensor normal(const Shape& shape, uint64_t seed) {
  return torch::randn(shape, make_generator(seed, torch::kCPU), torch::kDouble);
}

inline Shape batch_of(int64_t count, const Shape& sample_shape) {
  Shape shape{count};
  shape.insert(shape.end(), sample_shape.begin(), sample_shape.end());
  return shape;
}

// A norm in float64 with gains and biases that are not what they start as.
inline ActivationNorm trained_norm(NormKind kind, const Shape& sample_shape) {
  auto norm = make_activation_norm(kind, sample_shape);
  norm->to(torch::kDouble);
  torch::NoGradGuard no_grad;
  for (auto& item : norm->named_parameters()) {
    const auto values = item.key() == "weight" ? torch::tensor({0.5, 1.0, -2.0}, torch::kDouble)
                                               : torch::tensor({0.1, -0.2, 0.3}, torch::kDouble);
    item.value().copy_(item.value().dim() == 0 ? torch::tensor(-1.75) : values);
  }
  return norm;
}

// What a kind can normalize.
inline std::vector<Shape> sample_shapes(NormKind kind) {
  return kind == NormKind::instance ? std::vector<Shape>{kImage} : std::vector<Shape>{kPoint, kImage};
}

}  // namespace sgan
