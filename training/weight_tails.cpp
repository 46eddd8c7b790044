#include "training/weight_tails.h"

#include <torch/utils.h>

#include <limits>

#include "normalization/reshape.h"
#include "normalization/weight_statistics.h"

namespace sgan {
namespace {

// Columns of the state's counts.
enum Column : int64_t { kMaxTowardsZero, kAllTowardsZero, kUpdates };

}  // namespace

WeightTails::WeightTails(TrainingState& state, const Config& config) : state_(state), per_(config.quantizer.per) {
  watch("gradient of generator.", *state.generator, state.generator_tails);
  watch("gradient of discriminator.", *state.discriminator, state.discriminator_tails);
}

void WeightTails::watch(const std::string& prefix, const NetworkImpl& network, const torch::Tensor& counts) {
  if (!counts.defined()) return;
  const auto parameters = network.named_parameters();
  for (size_t i = 0; i < network.layers().size(); ++i) {
    const auto& [name, layer] = network.layers()[i];
    // What is quantized is this parameter up to a positive factor; weight norm's gains change it by channel, and its
    // directions are not what has a largest weight.
    for (const std::string end : {".weight", ".parametrizations.weight.original"}) {
      const auto* weight = parameters.find(name + end);
      if (weight == nullptr) continue;
      watched_[prefix + name + end] = {*weight, counts[static_cast<int64_t>(i)], layer->geometry().output_dim()};
    }
  }
}

void WeightTails::see(const std::string& name, const torch::Tensor& value) {
  const auto found = watched_.find(name);
  if (found == watched_.end()) return;
  torch::NoGradGuard no_grad;
  auto& [weight, counts, output_dim] = found->second;
  const auto rows = [&, this](const torch::Tensor& tensor) {
    return per_ == QuantizerGroup::layer ? tensor.reshape({1, -1}) : reshape_to_matrix(tensor, output_dim);
  };
  const auto weights = rows(weight.detach());
  const auto shrinks = (weights.sign() * rows(value)).gt(0);  // the step is against the gradient
  const auto largest = weights.abs().argmax(1, /*keepdim=*/true);
  const auto share = [](const torch::Tensor& flags) { return flags.to(torch::kDouble).mean(); };
  counts[kMaxTowardsZero] += share(shrinks.gather(1, largest));
  counts[kAllTowardsZero] += share(shrinks);
  counts[kUpdates] += 1;
}

std::optional<TailReport> WeightTails::take(const NetworkImpl& network, torch::Tensor& counts) const {
  if (!counts.defined()) return std::nullopt;
  torch::NoGradGuard no_grad;
  const auto counted = counts.to(torch::kCPU, torch::kDouble, /*non_blocking=*/false, /*copy=*/true);
  counts.zero_();
  TailReport report;
  for (size_t i = 0; i < network.layers().size(); ++i) {
    const auto& [name, layer] = network.layers()[i];
    const auto row = counted[static_cast<int64_t>(i)];
    const auto updates = row[kUpdates].item<double>();
    report.updates = std::max(report.updates, static_cast<int64_t>(updates));
    const auto share = [&](Column column) {
      return updates > 0 ? row[column].item<double>() / updates : std::numeric_limits<double>::quiet_NaN();
    };
    const auto shape = weight_shape_of(layer->parametrization().effective());
    report.layers.push_back({name, shape.kurtosis, shape.max_over_std, share(kMaxTowardsZero), share(kAllTowardsZero)});
  }
  return report;
}

std::optional<TailReport> WeightTails::take_generator() {
  return take(*state_.generator, state_.generator_tails);
}

std::optional<TailReport> WeightTails::take_discriminator() {
  return take(*state_.discriminator, state_.discriminator_tails);
}

}  // namespace sgan
