// One of the processes that train together, as a program of its own: makes the first updates of a digits config in
// float64, which the program itself does not offer, with the parts that it trains with. What they gave is written by
// the first process. To be started by itself, by a test, or by hand:
//   torchrun --no-python --nproc-per-node 2 build/release/bin/parallel_worker OUT.safetensors STEPS [key=value …]
// The key `type` is float64 or float32.

#include <torch/utils.h>

#include <CLI/Config.hpp>
#include <cstdio>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/processes.h"
#include "configs/loader.h"
#include "data/load.h"
#include "run/tensor_file.h"
#include "training/draws.h"
#include "training/step.h"

namespace sgan {
namespace {

using Tensors = std::map<std::string, torch::Tensor>;

// Keeps the gradients of the first updates.
class Gradients : public StepObserver {
 public:
  void see(const std::string& name, const torch::Tensor& value) override {
    if (name.starts_with("gradient of ")) seen.try_emplace(name, value.clone().contiguous());
  }
  Tensors seen;
};

NamedTensors parameters_of(const NetworkImpl& network) {
  NamedTensors parameters;
  for (const auto& item : network.named_parameters()) parameters.emplace_back(item.key(), item.value());
  return parameters;
}

void convert(TrainingState& state, const Config& config, torch::ScalarType type) {
  for (const auto& network : {state.generator, state.discriminator, state.generator_ema}) {
    if (network != nullptr) network->to(type);
  }
  state.generator_optimizer = std::make_unique<Optimizer>(parameters_of(*state.generator), config.optimizer.generator);
  state.discriminator_optimizer =
      std::make_unique<Optimizer>(parameters_of(*state.discriminator), config.optimizer.discriminator);
  if (state.penalty.defined()) state.penalty = state.penalty.to(type);
}

void work(const std::string& out, int64_t steps, torch::ScalarType type, const std::vector<std::string>& overrides) {
  torch::set_num_threads(1);
  const auto config = load_config(std::string(SGAN_SOURCE_DIR) + "/configs/digits/none.yaml", overrides);
  const auto dataset = load_dataset(config.data, /*seed=*/5, /*threads=*/1);
  join_processes();
  Collective* others = processes();
  auto state = initial_state(config, dataset.sample_shape(), torch::kCPU);
  convert(state, config, type);
  if (others != nullptr) {
    check_parallel(config, others->size());
    share_state(*others, state);
  }
  AdversarialStep step(state, config);
  step.share(others);
  std::optional<SharedBatchNorms> norms;
  if (others != nullptr) norms.emplace(*others, state, config);
  Gradients gradients;
  step.observe(&gradients);
  Draws draws(config, dataset, torch::kCPU, RealBatches::Place::host, others != nullptr ? others->part() : BatchPart());
  Tensors losses;
  while (state.step < steps) {
    auto batch = draws.discriminator_batch(state.discriminator_updates, step);
    batch.real = batch.real.to(type);
    batch.latent = batch.latent.to(type);
    for (auto& noise : batch.penalty_noise) noise = noise.defined() ? noise.to(type) : noise;
    const auto number = state.step;
    const auto d = step.update_discriminator(batch, 1.0, /*measure=*/true);
    const auto g = step.update_generator(draws.generator_latent(number).to(type), batch.real, 1.0, /*measure=*/true);
    losses["losses." + std::to_string(number)] =
        torch::stack({d.loss, g.loss, d.critic_real, d.critic_fake, d.grad_norm, g.grad_norm});
    if (others != nullptr) settle_state(*others, state, config.parallel.batch_norm);
  }
  if (others == nullptr || others->is_first()) {
    Tensors tensors;
    for (const auto& [name, tensor] : named_tensors(state)) tensors[name] = tensor.contiguous();
    tensors.merge(gradients.seen);
    tensors.merge(losses);
    save_tensors(out, {.tensors = tensors, .metadata = {}});
  }
  leave_processes(0, "");
}

}  // namespace
}  // namespace sgan

int main(int argc, char** argv) {
  try {
    std::vector<std::string> overrides(argv + 3, argv + argc);
    const bool single = std::erase(overrides, "type=float32") > 0;
    sgan::work(argv[1], std::stoll(argv[2]), single ? torch::kFloat : torch::kDouble, overrides);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
