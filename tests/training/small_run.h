#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/load.h"
#include "tests/fixtures/fixture.h"
#include "training/divergence.h"
#include "training/loop.h"

namespace sgan {

// Points on a ring, two small mlps.
inline Config planar_config() {
  Config config;
  config.data.kind = DataKind::ring;
  config.data.count = 64;
  config.generator = {.kind = NetworkKind::mlp, .latent = 3, .channels = 8, .depth = 2, .norm = NormKind::batch};
  config.discriminator = {.kind = NetworkKind::mlp, .channels = 8, .depth = 2, .weight = WeightKind::none};
  config.train.steps = 4;
  config.train.batch = 6;
  config.train.critic_steps = 2;
  config.log.every = config.lipschitz.every = 0;
  config.sample.every = config.checkpoint.every = 0;
  return config;
}

// 8×8 digits, two small dcgans.
inline Config digits_config() {
  auto config = planar_config();
  config.data = {};
  config.data.size = 8;
  config.generator = {.kind = NetworkKind::dcgan, .latent = 3, .channels = 4, .norm = NormKind::batch};
  config.discriminator = {.kind = NetworkKind::dcgan, .channels = 4, .weight = WeightKind::none};
  return config;
}

// A way of stabilising the discriminator, as an edit of a config.
struct Strategy {
  std::string name;
  std::function<void(Config&)> apply;
};

inline void PrintTo(const Strategy& strategy, std::ostream* out) {
  *out << strategy.name;
}

inline const std::vector<Strategy>& strategies() {
  static const std::vector<Strategy> kStrategies{
      {"none", [](Config&) {}},
      {"clip", [](Config& config) { config.constraint.kind = ConstraintKind::clip; }},
      {"gp", [](Config& config) { config.penalties = {{.kind = PenaltyKind::gp}}; }},
      {"spectral", [](Config& config) { config.discriminator.weight = WeightKind::spectral; }},
  };
  return kStrategies;
}

inline Dataset dataset_of(const Config& config) {
  return load_dataset(config.data, /*seed=*/5, /*threads=*/1);
}

inline TrainingState fresh_state(const Config& config) {
  const std::vector<int64_t> points{2};
  const std::vector<int64_t> images{1, config.data.size, config.data.size};
  return initial_state(config, is_planar(config.data.kind) ? points : images, torch::kCPU);
}

inline Tensors tensors_of(const TrainingState& state) {
  const auto named = named_tensors(state);
  return {named.begin(), named.end()};
}

// A state whose every tensor has moved: after a few steps of training.
inline TrainingState trained_state(const Config& config) {
  auto state = fresh_state(config);
  run_loop(config, state, dataset_of(config), torch::kCPU, {});
  return state;
}

}  // namespace sgan
