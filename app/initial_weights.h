#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "training/state.h"

namespace sgan {

// Gives the networks of a fresh state those of another run: `from` is its folder (the last checkpoint counts) or one of
// its checkpoints. Tensors are matched by name among generator.*, discriminator.* and generator_ema.*; the averaged
// generator starts as the other's, or as the generator where that has none. What the other lacks of quantizers is set
// from the weights. Optimizers stay fresh. Sets the number of threads to that of `config` again.
// Returns where the weights come from, as run.json has it: {from, checkpoint, step, sha256}.
// Errors: UserError that lists what is missing, unknown or of another shape; the state is then as it was.
nlohmann::ordered_json take_initial_weights(const Config& config, TrainingState& state);

}  // namespace sgan
