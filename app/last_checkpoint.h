#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "run/run_folder.h"
#include "training/checkpoint.h"

namespace sgan {

// The newest checkpoint that is whole, or the newest of a step below `before`; none where the run was killed before its
// first, or where there is none below. Damaged ones are set aside, with a warning. Errors: UserError where there are
// only such, or where a checkpoint is not of the step that its name says.
std::optional<Checkpoint> last_good_checkpoint(RunFolder& folder, int64_t before = std::numeric_limits<int64_t>::max());

// After restore(): what the state knows of the run's past besides its tensors, for a session that goes on with
// `config`. Errors: UserError where metrics.jsonl cannot be read.
void carry_over(const RunFolder& folder, const Checkpoint& checkpoint, const Config& config, TrainingState& state);

}  // namespace sgan
