#include "exchange/plain_network.h"

#include <torch/utils.h>

namespace sgan {
namespace {

torch::Tensor copy_of(const torch::Tensor& tensor) {
  return tensor.detach().to(torch::kCPU, tensor.scalar_type(), /*non_blocking=*/false, /*copy=*/true).contiguous();
}

}  // namespace

torch::Tensor PlainNetwork::bias_of(const std::string& layer) const {
  const auto found = tensors.find(layer + ".bias");
  return found == tensors.end() ? torch::Tensor() : found->second;
}

PlainNetwork plain_network(const NetworkImpl& network) {
  torch::NoGradGuard no_grad;
  PlainNetwork plain;
  // Effective weights stand for what parametrizations and quantizers of weights keep.
  const auto is_folded = [](const std::string& name) {
    return name.find(".parametrizations.") != std::string::npos || name.ends_with(".quantizer.scale");
  };
  const auto take = [&](const auto& named) {
    for (const auto& item : named) {
      if (!is_folded(item.key())) plain.tensors[item.key()] = copy_of(item.value());
    }
  };
  take(network.named_parameters());
  take(network.named_buffers());
  const auto effective = network.frozen_weights();
  for (const auto& [name, layer] : network.layers()) plain.tensors[name + ".weight"] = copy_of(effective.of(*layer));
  return plain;
}

EffectiveWeights weights_of(const PlainNetwork& plain, const NetworkImpl& network) {
  EffectiveWeights weights;
  for (const auto& [name, layer] : network.layers()) weights.set(*layer, plain.tensors.at(name + ".weight"));
  return weights;
}

}  // namespace sgan
