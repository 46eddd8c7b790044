#include "training/state.h"

#include <torch/utils.h>

#include "models/data_initialization.h"
#include "run/random_streams.h"
#include "training/precision.h"

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

// Random numbers for each of a network's parameters, by its name after `prefix`.
GeneratorFor draws(const Config& config, Stream stream, const std::string& prefix = "") {
  return [seed = static_cast<uint64_t>(config.seed), stream, prefix](std::string_view name) {
    return make_generator(stream_seed(seed, stream, prefix + std::string(name)), torch::kCPU);
  };
}

// The averaged generator, where there is one, starts as the generator.
void restart_average(TrainingState& state) {
  if (state.generator_ema == nullptr) return;
  torch::NoGradGuard no_grad;
  at::_foreach_copy_(state.generator_ema->parameters(), state.generator->parameters());
  if (!state.generator->buffers().empty()) {
    at::_foreach_copy_(state.generator_ema->buffers(), state.generator->buffers());
  }
}

bool is_data_initialized(const Config& config, WeightKind weight) {
  return config.weight_norm.data_init && weight == WeightKind::weight_norm;
}

}  // namespace

TrainingState initial_state(const Config& config, const std::vector<int64_t>& sample_shape, torch::Device device) {
  TrainingState state;
  state.sample_shape = sample_shape;
  state.generator = make_generator(config, sample_shape);
  state.discriminator = make_discriminator(config, sample_shape);
  state.generator->initialize(draws(config, Stream::init_generator), draws(config, Stream::power, "generator."));
  state.discriminator->initialize(draws(config, Stream::init_discriminator),
                                  draws(config, Stream::power, "discriminator."));
  state.generator->to(device);
  state.discriminator->to(device);
  state.generator->store_in_fast_layout();
  state.discriminator->store_in_fast_layout();
  if (config.ema.decay > 0) {
    state.generator_ema = make_generator(config, sample_shape);
    state.generator_ema->to(device);
    state.generator_ema->store_in_fast_layout();
    restart_average(state);
  }
  if (!config.penalties.empty()) state.penalty = torch::zeros({}, device);
  const auto counts_of = [&](QuantizerKind quantizer, const NetworkImpl& network) {
    if (quantizer == QuantizerKind::none) return torch::Tensor();
    return torch::zeros({std::ssize(network.layers()), 3}, torch::dtype(torch::kDouble).device(device));
  };
  state.generator_tails = counts_of(config.generator.quantizer, *state.generator);
  state.discriminator_tails = counts_of(config.discriminator.quantizer, *state.discriminator);
  const auto& optimizers = config.optimizer;
  state.generator_optimizer = std::make_unique<Optimizer>(parameters_of(*state.generator), optimizers.generator);
  state.discriminator_optimizer =
      std::make_unique<Optimizer>(parameters_of(*state.discriminator), optimizers.discriminator);
  return state;
}

bool needs_data_initialization(const Config& config) {
  return is_data_initialized(config, config.generator.weight) ||
         is_data_initialized(config, config.discriminator.weight);
}

void initialize_from_data(TrainingState& state, const Config& config, const torch::Tensor& real,
                          const torch::Tensor& latent) {
  const ExactFloat32Scope exact;
  if (is_data_initialized(config, config.generator.weight)) {
    initialize_from_data(*state.generator, draws(config, Stream::init_generator), latent);
    restart_average(state);
  }
  if (is_data_initialized(config, config.discriminator.weight)) {
    initialize_from_data(*state.discriminator, draws(config, Stream::init_discriminator), real);
  }
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
  if (state.generator_tails.defined()) tensors.emplace_back("log.generator_tails", state.generator_tails);
  if (state.discriminator_tails.defined()) tensors.emplace_back("log.discriminator_tails", state.discriminator_tails);
  return tensors;
}

}  // namespace sgan
