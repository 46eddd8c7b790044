#include "exchange/quantization.h"

#include <torch/utils.h>

#include <cmath>

namespace sgan {
namespace {

bool rounds(const WeightedLayerImpl& layer) {
  const auto& quantizer = layer.weight_quantizer();
  return quantizer && (quantizer->bits() > 0 || quantizer->kind() == QuantizerKind::twn);
}

torch::Tensor on_cpu(const torch::Tensor& tensor) {
  return tensor.detach().to(torch::kCPU, torch::kFloat).contiguous();
}

// The quantizer without its rounding, with the same scale.
torch::Tensor before_rounding(const WeightedLayerImpl& layer, const QuantizerOptions& options) {
  const auto& quantizer = layer.weight_quantizer();
  const auto weight = layer.parametrization().effective();
  // Three values and a fitted scale stand for the weight itself.
  if (quantizer->kind() == QuantizerKind::twn || options.scale == QuantizerScale::fitted) return weight;
  WeightQuantizer smooth(quantizer->kind(), 0, options, layer.geometry());
  const auto copy = [](const auto& from, const auto& to) {
    for (const auto& item : from) {
      auto target = to[item.key()];
      target.copy_(item.value());
    }
  };
  copy(quantizer->named_parameters(), smooth->named_parameters());
  copy(quantizer->named_buffers(), smooth->named_buffers());
  return smooth->forward(weight.cpu());
}

double density_at(int64_t count, double total, double width) {
  return static_cast<double>(count) / (total * width);
}

// What else there is to the layers that `packed` has on grids, and everything but their weights.
void add_rest(const NetworkImpl& network, const PlainNetwork& plain, PackedNetwork& packed) {
  for (const auto& [name, layer] : network.layers()) {
    if (packed.has(name)) packed.output_dims.emplace(name, layer->geometry().output_dim());
  }
  packed.rest = plain;
  for (const auto& [name, weight] : packed.weights) packed.rest.tensors.erase(name + ".weight");
}

}  // namespace

bool rounds_weights(const NetworkImpl& network) {
  for (const auto& [name, layer] : network.layers()) {
    if (rounds(*layer)) return true;
  }
  return false;
}

std::vector<torch::Tensor> weights_before_rounding(const NetworkImpl& network, const QuantizerOptions& options) {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> weights;
  for (const auto& [name, layer] : network.layers()) {
    weights.push_back(on_cpu(rounds(*layer) ? before_rounding(*layer, options) : layer->effective_weight()));
  }
  return weights;
}

PackedNetwork quantize_network(const NetworkImpl& network, const std::vector<torch::Tensor>& weights,
                               const PlainNetwork& plain, const RoundingPlan& plan) {
  const auto& layers = network.layers();
  TORCH_CHECK(weights.size() == layers.size(), "a network of ", layers.size(), " layers got ", weights.size(),
              " weights");
  PackedNetwork packed;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto& [name, layer] = layers[i];
    const bool outer = i == 0 || i + 1 == layers.size();
    const auto bits = outer ? plan.first_last_bits.value_or(plan.bits) : plan.bits;
    packed.weights.emplace(name, quantize(weights[i], bits, plan.per, plan.clipping, layer->geometry().output_dim()));
  }
  add_rest(network, plain, packed);
  return packed;
}

PackedNetwork pack_trained(const NetworkImpl& network, const PlainNetwork& plain) {
  torch::NoGradGuard no_grad;
  PackedNetwork packed;
  for (const auto& [name, layer] : network.layers()) {
    if (!rounds(*layer)) continue;
    auto weight = layer->weight_quantizer()->quantize(layer->parametrization().effective());
    packed.weights.emplace(name, QuantizedWeight{weight.codes.cpu(), weight.span, weight.scale.cpu()});
  }
  add_rest(network, plain, packed);
  return packed;
}

Histogram histogram_of(const torch::Tensor& weight, double unit, int64_t bins) {
  const auto values = weight.detach().to(torch::kDouble).flatten() / unit;
  const auto largest = values.abs().max().item<double>();
  Histogram histogram;
  if (!(largest > 0)) return histogram;
  const auto width = 2 * largest / static_cast<double>(bins);
  const auto index = ((values + largest) / width).floor().clamp(0, bins - 1).to(torch::kLong);
  const auto counts = torch::bincount(index, {}, bins);
  for (int64_t i = 0; i < bins; ++i) {
    histogram.x.push_back(-largest + (static_cast<double>(i) + 0.5) * width);
    histogram.density.push_back(density_at(counts[i].item<int64_t>(), static_cast<double>(values.numel()), width));
  }
  return histogram;
}

Histogram histogram_of(const QuantizedWeight& weight, double unit) {
  TORCH_CHECK(weight.scale.numel() == 1, "channels have different levels");
  const auto scale = std::abs(weight.scale.item<double>()) / unit;
  const auto counts = torch::bincount(weight.codes.flatten().to(torch::kLong), {}, weight.span + 1);
  const auto span = static_cast<double>(weight.span);
  Histogram histogram;
  if (!(scale > 0)) return histogram;
  for (int64_t i = 0; i <= weight.span; ++i) {
    histogram.x.push_back(scale * (2 * static_cast<double>(i) - span) / span);
    histogram.density.push_back(
        density_at(counts[i].item<int64_t>(), static_cast<double>(weight.codes.numel()), 2 * scale / span));
  }
  return histogram;
}

}  // namespace sgan
