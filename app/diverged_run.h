#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "app/session.h"

namespace sgan {

// What is done about a run that has diverged.

// Does the steps from the last checkpoint again to find the first tensor that was not finite, and writes what it finds
// to forensics/step-<step>/ in the run folder: report.json, config.yaml and the update's batch.safetensors. step: at
// which the divergence was seen. Tells the user. Returns the bundle's folder; nothing if interrupted. The state is left
// somewhere below that step.
std::optional<std::filesystem::path> investigate(RunFolder& folder, const Config& config, Prepared& prepared,
                                                 int64_t step);

// Goes back and lowers the learning rates, and saves that as the checkpoint, so that whatever happens next the run goes
// on from there. step: at which it has diverged. Where that is no later than the time before, the weights that it had
// gone back to may be beyond saving, finite as they are, and a checkpoint before those is taken, if there is one.
// Returns the lines of metrics.jsonl to keep.
int64_t roll_back(RunFolder& folder, const Config& config, Prepared& prepared, int64_t step);

}  // namespace sgan
