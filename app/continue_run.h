#pragma once

#include <cstdint>
#include <optional>

#include "configs/options.h"
#include "run/run_folder.h"

namespace sgan {

enum class ChangedConfig { refused, recorded };

// Goes on with the run in a locked folder, from its last good checkpoint, or from the start where it has none yet.
// config: the run's own, perhaps with another device. changed: what becomes of one that makes another run; where it is
// recorded, the run goes on with it, and nothing is written before everything was found to fit. A run whose steps are
// done is only marked as finished. Errors: UserError where config or data are no longer those of the checkpoint, or no
// checkpoint can be read. Those that no command line makes are recorded in run.json.
void continue_run(RunFolder& folder, const Config& config, std::optional<int64_t> stop_at,
                  ChangedConfig changed = ChangedConfig::refused);

}  // namespace sgan
