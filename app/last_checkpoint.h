#pragma once

#include <optional>

#include "run/run_folder.h"
#include "training/checkpoint.h"

namespace sgan {

// The newest checkpoint that is whole; none where the run was killed before its first. Damaged ones are set aside, with
// a warning. Errors: UserError where there are only such.
std::optional<Checkpoint> last_good_checkpoint(RunFolder& folder);

// After restore(): what the state knows of the run's past besides its tensors, for a session that goes on with
// `config`. Errors: UserError where metrics.jsonl cannot be read.
void carry_over(const RunFolder& folder, const Checkpoint& checkpoint, const Config& config, TrainingState& state);

}  // namespace sgan
