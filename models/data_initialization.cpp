#include "models/data_initialization.h"

#include <ATen/Context.h>
#include <torch/utils.h>

#include "normalization/weight_norm.h"

namespace sgan {
namespace {

constexpr double kDirectionStd = 0.05;
constexpr double kLeastVariation = 1e-6;  // std relative to the largest value: below, float32 rounding

void draw_direction(const WeightedLayer& layer, at::Generator generator) {
  const auto weight = torch::empty(layer->geometry().weight_shape()).normal_(0.0, kDirectionStd, generator);
  layer->parametrization().initialize(weight, generator);
}

// Sets g and b from the layer's inputs and returns its new outputs.
torch::Tensor standardize(const WeightedLayer& layer, const WeightNormImpl& weight, const torch::Tensor& x) {
  // Channels last, one row for each sample and position; of t + b, whose deviations are those of t.
  const auto rows = layer->forward(x, weight.direction()).movedim(1, -1).flatten(0, -2);
  const auto mean = rows.mean(0);
  const auto std = (rows - mean).square().mean(0).sqrt();
  const auto varies = std > kLeastVariation * std::get<0>(rows.abs().max(0));

  auto gains = weight.gains();
  gains.copy_(torch::where(varies, 1 / std, gains));
  auto bias = layer->bias();
  if (bias.defined()) bias.copy_(torch::where(varies, (bias - mean) / std, bias));
  layer->initialize_quantizers();
  return layer->forward(x, layer->effective_weight());
}

}  // namespace

void initialize_from_data(NetworkImpl& network, const GeneratorFor& initial, const torch::Tensor& batch) {
  torch::NoGradGuard no_grad;
  const at::NoTF32Guard full_precision;
  for (const auto& [name, layer] : network.layers()) {
    if (layer->weight_kind() == WeightKind::weight_norm) draw_direction(layer, initial(name + ".weight"));
  }
  run_composition(network.composition(), batch, Mode::train_frozen, [](const WeightedLayer& layer, const auto& x) {
    const auto* weight = layer->parametrization().as<WeightNormImpl>();
    return weight != nullptr ? standardize(layer, *weight, x) : layer->forward(x, layer->effective_weight());
  });
}

}  // namespace sgan
