#pragma once

#include "configs/options.h"

namespace sgan {

// The factor on both learning rates at a step counted from 0: 1, or falling linearly from 1 at `start` to 0 at the end.
double learning_rate_factor(const Config& config, int64_t step);

// Discriminator updates before the generator's update of this step, counted from 0 (Arjovsky et al. 2017 raise the
// number in the first generator steps and at every 500th: train.boost).
int64_t critic_steps(const TrainOptions& train, int64_t step);

// Samples of a generator update.
int64_t generator_batch(const TrainOptions& train);

// True where something with this cadence is due after `step` steps, counted from 1. 0 means never.
constexpr bool is_due(int64_t step, int64_t every) {
  return every > 0 && step % every == 0;
}

}  // namespace sgan
