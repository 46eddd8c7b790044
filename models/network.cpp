#include "models/network.h"

#include <ATen/Context.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "normalization/spectral_group.h"

namespace sgan {
namespace {

// While it lives, float32 products are float32's, whatever TF32 and autocast would make of them.
struct FullPrecision {
  at::NoTF32Guard no_tf32;
  c10::impl::ExcludeDispatchKeyGuard no_autocast{c10::autocast_dispatch_keyset};
};

// The weight in the layout that oneDNN's convolutions are fastest in: on a CPU with the channels last, which their
// results then take over, up to twice as fast as NCHW. Float64 has no such kernels.
torch::Tensor in_fast_layout(const torch::Tensor& weight) {
  const bool reorder = weight.is_cpu() && weight.dim() == 4 && weight.scalar_type() != torch::kDouble;
  return reorder ? weight.contiguous(torch::MemoryFormat::ChannelsLast) : weight;
}

double fan_in_bound(const OperatorGeometry& geometry) {
  return 1.0 / std::sqrt(static_cast<double>(geometry.fan_in()));
}

torch::Tensor draw_weight(Initialization initialization, const OperatorGeometry& geometry, at::Generator generator) {
  auto weight = torch::empty(geometry.weight_shape());
  const auto fans = static_cast<double>(geometry.fan_in() + geometry.fan_out());
  const auto uniform = [&](double bound) { return weight.uniform_(-bound, bound, generator); };
  switch (initialization) {
    case Initialization::normal:
      return weight.normal_(0.0, 0.02, generator);
    case Initialization::fan_in:
      return uniform(fan_in_bound(geometry));
    case Initialization::glorot:
      return uniform(std::sqrt(6.0 / fans));
    case Initialization::glorot_relu:
      return uniform(std::sqrt(2.0) * std::sqrt(6.0 / fans));
  }
  TORCH_CHECK(false, "no initialization ", static_cast<int>(initialization));
}

void draw_bias(Initialization initialization, const OperatorGeometry& geometry, at::Generator generator,
               torch::Tensor bias) {
  if (initialization != Initialization::fan_in) {
    bias.zero_();
    return;
  }
  const auto bound = fan_in_bound(geometry);
  bias.copy_(torch::empty_like(bias).uniform_(-bound, bound, generator));
}

using Layers = std::vector<std::pair<std::string, WeightedLayer>>;

// The layers' parametrizations that one batch of operations serves.
std::vector<SpectralNormImpl*> group_of(const Layers& layers) {
  std::vector<WeightParametrizationImpl*> all;
  for (const auto& [name, layer] : layers) all.push_back(&layer->parametrization());
  return choose_spectral_group(all);
}

bool contains(const std::vector<SpectralNormImpl*>& group, const WeightParametrizationImpl& parametrization) {
  return std::find(group.begin(), group.end(), &parametrization) != group.end();
}

// effective_weight() of every layer, in their order.
std::vector<torch::Tensor> each_effective_weight(const Layers& layers) {
  const auto together = group_of(layers);
  const auto grouped = together.empty() ? std::vector<torch::Tensor>{} : effective_together(together);
  auto next = grouped.begin();
  std::vector<torch::Tensor> weights;
  for (const auto& [name, layer] : layers) {
    if (!contains(together, layer->parametrization())) {
      weights.push_back(layer->effective_weight());
      continue;
    }
    const auto& quantizer = layer->weight_quantizer();
    weights.push_back(quantizer ? quantizer->forward(*next) : *next);
    ++next;
  }
  return weights;
}

// Where "block0.conv1" is registered: the child module "block0", made if missing, and "conv1".
std::pair<torch::nn::Module*, std::string> place_of(torch::nn::Module& root, const std::string& name) {
  const auto dot = name.find('.');
  if (dot == std::string::npos) return {&root, name};
  const auto parent = name.substr(0, dot);
  const auto children = root.named_children();
  const auto* found = children.find(parent);
  auto child = found != nullptr ? *found : root.register_module(parent, std::make_shared<torch::nn::Module>());
  return place_of(*child, name.substr(dot + 1));
}

}  // namespace

EffectiveWeights NetworkImpl::effective_weights() const {
  const FullPrecision full_precision;
  EffectiveWeights weights;
  const auto each = each_effective_weight(layers_);
  for (size_t i = 0; i < layers_.size(); ++i) weights.set(*layers_[i].second, in_fast_layout(each[i]));
  return weights;
}

EffectiveWeights NetworkImpl::frozen_weights() const {
  torch::NoGradGuard no_grad;
  const FullPrecision full_precision;
  EffectiveWeights weights;
  const auto each = each_effective_weight(layers_);
  for (size_t i = 0; i < layers_.size(); ++i) weights.set(*layers_[i].second, in_fast_layout(each[i].detach()));
  return weights;
}

void NetworkImpl::store_in_fast_layout() {
  torch::NoGradGuard no_grad;
  for (auto& parameter : parameters()) parameter.set_data(in_fast_layout(parameter));
}

void NetworkImpl::advance_parametrizations() {
  const FullPrecision full_precision;
  const auto together = group_of(layers_);
  if (!together.empty()) advance_together(together);
  for (const auto& [name, layer] : layers_) {
    if (!contains(together, layer->parametrization())) layer->parametrization().advance();
  }
}

void NetworkImpl::initialize(const GeneratorFor& initial, const GeneratorFor& power) {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const auto& [name, layer] = layers_[i];
    const auto weight_name = name + ".weight";
    const auto weight = draw_weight(initializations_[i], layer->geometry(), initial(weight_name));
    layer->parametrization().initialize(weight, power(weight_name));
    layer->initialize_quantizers();
    if (layer->bias().defined())
      draw_bias(initializations_[i], layer->geometry(), initial(name + ".bias"), layer->bias());
  }
  for (const auto& norm : norms_) norm->initialize();
}

bool NetworkImpl::uses_batch_statistics() const {
  return std::any_of(norms_.begin(), norms_.end(), [](const auto& norm) { return norm->uses_batch_statistics(); });
}

WeightedLayer NetworkImpl::add_layer(const std::string& name, WeightedLayer layer, Initialization initialization) {
  const auto [parent, own_name] = place_of(*this, name);
  parent->register_module(own_name, layer);
  layers_.emplace_back(name, layer);
  initializations_.push_back(initialization);
  return layer;
}

ActivationNorm NetworkImpl::add_norm(const std::string& name, ActivationNorm norm) {
  const auto [parent, own_name] = place_of(*this, name);
  parent->register_module(own_name, norm);
  norms_.push_back(norm);
  return norm;
}

}  // namespace sgan
