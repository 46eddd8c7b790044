#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <ostream>
#include <string>
#include <vector>

#include "models/weighted_layer.h"
#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"

namespace sgan {

inline at::Generator seeded(uint64_t seed) {
  return make_generator(seed, torch::kCPU);
}

inline torch::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return torch::randn(shape, seeded(seed), torch::kDouble);
}

struct LayerCase {
  std::string name;
  OperatorGeometry geometry;
};

inline void PrintTo(const LayerCase& layer, std::ostream* out) {
  *out << layer.name;
}

// The layers of the fixtures, under their names there.
inline const std::vector<LayerCase>& layer_cases() {
  static const std::vector<LayerCase> kLayers{
      {"linear", {OperatorKind::linear, 5, 7}},
      {"vector", {OperatorKind::linear, 9, 1}},
      {"conv", {OperatorKind::conv, 4, 6, 3, 1, 0, 5}},
      {"conv_strided", {OperatorKind::conv, 3, 8, 4, 2, 1, 6}},
      {"conv_transpose", {OperatorKind::conv_transpose, 5, 4, 4, 2, 1, 3}},
  };
  return kLayers;
}

// A batch of `count` inputs of the layer, float64.
inline torch::Tensor inputs_of(const OperatorGeometry& geometry, int64_t count, uint64_t seed) {
  std::vector<int64_t> shape{count, geometry.in_channels};
  if (geometry.kind != OperatorKind::linear) shape.insert(shape.end(), 2, geometry.in_size);
  return normal(shape, seed);
}

// A float64 layer that starts from `weight`, with zero biases.
inline WeightedLayer layer_with(const OperatorGeometry& geometry, WeightKind kind, const torch::Tensor& weight,
                                const SpectralOptions& options = {}, bool bias = false) {
  WeightedLayer layer(geometry, bias, kind, options);
  layer->to(torch::kDouble);
  layer->parametrization().initialize(weight, seeded(99));
  return layer;
}

inline WeightedLayer random_layer(const OperatorGeometry& geometry, WeightKind kind,
                                  const SpectralOptions& options = {}) {
  return layer_with(geometry, kind, normal(geometry.weight_shape(), 1), options);
}

inline void advance(const WeightedLayer& layer, int64_t times) {
  for (int64_t i = 0; i < times; ++i) layer->parametrization().advance();
}

// A tensor of the parametrization's state, such as "original" or "0._u".
inline torch::Tensor stored(const WeightedLayer& layer, const std::string& name) {
  return state_of(*layer).at("parametrizations.weight." + name);
}

// The layer without bias as a matrix, (output values, input values), column by column.
inline torch::Tensor dense_operator(const WeightedLayer& layer, const torch::Tensor& weight) {
  const auto one = inputs_of(layer->geometry(), 1, 0);
  auto shape = one.sizes().vec();
  shape[0] = one.numel();
  return layer->forward(torch::eye(one.numel(), torch::kDouble).view(shape), weight).flatten(1).t();
}

inline double largest_singular_value(const torch::Tensor& matrix) {
  return torch::linalg_svdvals(matrix)[0].item<double>();
}

// A penalty on the slope of the outputs' cubes, whose gradient is a double backward pass.
inline torch::Tensor slope_penalty(const WeightedLayer& layer, const torch::Tensor& weight, const torch::Tensor& x) {
  const auto input = x.detach().clone().requires_grad_(true);
  const auto sum = layer->forward(input, weight).pow(3).sum();
  const auto slope = torch::autograd::grad({sum}, {input}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
  return slope.flatten(1).square().sum(1).mean();
}

}  // namespace sgan
