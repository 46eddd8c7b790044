#include "training/state.h"

#include <torch/utils.h>

#include "run/random_streams.h"

namespace sgan {
namespace {

NamedTensors parameters_of(const NetworkImpl& network) {
  NamedTensors parameters;
  for (const auto& item : network.named_parameters()) parameters.emplace_back(item.key(), item.value());
  return parameters;
}

// Appends, each name with the prefix.
void append(NamedTensors& to, const std::string& prefix, const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) to.emplace_back(prefix + name, tensor);
}

void initialize(NetworkImpl& network, int64_t seed, Stream stream, const std::string& power_prefix) {
  const auto draw = [seed](Stream from, const std::string& name) {
    return make_generator(stream_seed(static_cast<uint64_t>(seed), from, name), torch::kCPU);
  };
  network.initialize([&](std::string_view name) { return draw(stream, std::string(name)); },
                     [&](std::string_view name) { return draw(Stream::power, power_prefix + std::string(name)); });
}

}  // namespace

TrainingState initial_state(const Config& config, const std::vector<int64_t>& sample_shape, torch::Device device) {
  TrainingState state;
  state.sample_shape = sample_shape;
  state.generator = make_generator(config, sample_shape);
  state.discriminator = make_discriminator(config, sample_shape);
  initialize(*state.generator, config.seed, Stream::init_generator, "generator.");
  initialize(*state.discriminator, config.seed, Stream::init_discriminator, "discriminator.");
  state.generator->to(device);
  state.discriminator->to(device);
  if (config.ema.decay > 0) {
    state.generator_ema = make_generator(config, sample_shape);
    state.generator_ema->to(device);
    torch::NoGradGuard no_grad;
    at::_foreach_copy_(state.generator_ema->parameters(), state.generator->parameters());
    if (!state.generator->buffers().empty()) {
      at::_foreach_copy_(state.generator_ema->buffers(), state.generator->buffers());
    }
  }
  if (!config.penalties.empty()) state.penalty = torch::zeros({}, device);
  const auto& optimizers = config.optimizer;
  state.generator_optimizer = std::make_unique<Optimizer>(parameters_of(*state.generator), optimizers.generator);
  state.discriminator_optimizer =
      std::make_unique<Optimizer>(parameters_of(*state.discriminator), optimizers.discriminator);
  return state;
}

NamedTensors named_tensors(const std::string& prefix, const NetworkImpl& network) {
  NamedTensors tensors;
  for (const auto& item : network.named_parameters()) tensors.emplace_back(prefix + item.key(), item.value());
  for (const auto& item : network.named_buffers()) tensors.emplace_back(prefix + item.key(), item.value());
  return tensors;
}

NamedTensors named_tensors(const TrainingState& state) {
  NamedTensors tensors;
  append(tensors, "", named_tensors("generator.", *state.generator));
  append(tensors, "", named_tensors("discriminator.", *state.discriminator));
  if (state.generator_ema != nullptr) append(tensors, "", named_tensors("generator_ema.", *state.generator_ema));
  append(tensors, "optimizer.generator.", state.generator_optimizer->state());
  append(tensors, "optimizer.discriminator.", state.discriminator_optimizer->state());
  if (state.penalty.defined()) tensors.emplace_back("log.penalty", state.penalty);
  return tensors;
}

}  // namespace sgan
