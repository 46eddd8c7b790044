#pragma once

#include <optional>

#include "run/run_folder.h"
#include "training/checkpoint.h"

namespace sgan {

// The newest checkpoint that is whole; none where the run was killed before its first. Damaged ones are set aside, with
// a warning. Errors: UserError where there are only such.
std::optional<Checkpoint> last_good_checkpoint(RunFolder& folder);

// Seconds of updates until the checkpoint; the metrics line before it is as near as runs without a budget need it.
double train_seconds(const RunFolder& folder, const Checkpoint& checkpoint);

}  // namespace sgan
