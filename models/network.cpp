#include "models/network.h"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>

namespace sgan {

EffectiveWeights NetworkImpl::effective_weights() const {
  EffectiveWeights weights;
  for (const auto& [name, layer] : layers_) weights.set(*layer, layer->parametrization().effective());
  return weights;
}

EffectiveWeights NetworkImpl::frozen_weights() const {
  torch::NoGradGuard no_grad;
  EffectiveWeights weights;
  for (const auto& [name, layer] : layers_) weights.set(*layer, layer->parametrization().effective().detach());
  return weights;
}

void NetworkImpl::advance_parametrizations() {
  for (const auto& [name, layer] : layers_) layer->parametrization().advance();
}

void NetworkImpl::initialize(const GeneratorFor& initial, const GeneratorFor& power) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, layer] : layers_) {
    const auto& geometry = layer->geometry();
    const auto weight_name = name + ".weight";
    const auto bound = 1.0 / std::sqrt(static_cast<double>(geometry.fan_in()));
    auto weight = torch::empty(geometry.weight_shape());
    if (initialization_ == Initialization::normal) {
      weight.normal_(0.0, 0.02, initial(weight_name));
    } else {
      weight.uniform_(-bound, bound, initial(weight_name));
    }
    layer->parametrization().initialize(weight, power(weight_name));
    if (!layer->bias().defined()) continue;
    auto bias = layer->bias();
    if (initialization_ == Initialization::normal) {
      bias.zero_();
    } else {
      bias.copy_(torch::empty_like(bias).uniform_(-bound, bound, initial(name + ".bias")));
    }
  }
  for (const auto& norm : norms_) norm->initialize();
}

bool NetworkImpl::uses_batch_statistics() const {
  return std::any_of(norms_.begin(), norms_.end(), [](const auto& norm) { return norm->uses_batch_statistics(); });
}

WeightedLayer NetworkImpl::add_layer(const std::string& name, WeightedLayer layer) {
  register_module(name, layer);
  layers_.emplace_back(name, layer);
  return layer;
}

ActivationNorm NetworkImpl::add_norm(const std::string& name, ActivationNorm norm) {
  if (norm == nullptr) return norm;
  register_module(name, norm);
  norms_.push_back(norm);
  return norm;
}

}  // namespace sgan
