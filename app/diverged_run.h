#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "app/session.h"

namespace sgan {

// What is done about a run that has diverged.

// Puts the prepared state back to the run's newest whole checkpoint, or to its beginning where there is none. Returns
// how many lines of metrics.jsonl there were.
int64_t go_back(RunFolder& folder, const Config& config, Prepared& prepared);

// Does the steps from the last checkpoint again to find the first tensor that was not finite, and writes what it finds
// to forensics/step-<step>/ in the run folder: report.json, config.yaml and the update's batch.safetensors. step: at
// which the divergence was seen. Tells the user. Returns the bundle's folder; nothing if interrupted. The state is left
// somewhere below that step.
std::optional<std::filesystem::path> investigate(RunFolder& folder, const Config& config, Prepared& prepared,
                                                 int64_t step);

// Goes back and lowers the learning rates, and saves that as the checkpoint, so that whatever happens next the run goes
// on from there. Returns the lines of metrics.jsonl to keep.
int64_t roll_back(RunFolder& folder, const Config& config, Prepared& prepared);

}  // namespace sgan
