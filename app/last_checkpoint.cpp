#include "app/last_checkpoint.h"

#include <fmt/format.h>

#include "app/progress.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "run/json_text.h"
#include "run/metrics_log.h"

namespace sgan {

std::optional<Checkpoint> last_good_checkpoint(RunFolder& folder, int64_t before) {
  auto checkpoints = folder.checkpoints();
  const bool any_later = std::erase_if(checkpoints, [&](const auto& entry) { return entry.first >= before; }) > 0;
  for (auto entry = checkpoints.rbegin(); entry != checkpoints.rend(); ++entry) {
    try {
      auto checkpoint = read_checkpoint(entry->second);
      if (checkpoint.record.step != entry->first) {
        throw UserError(
            fmt::format("{} is by its content of step {}: it was renamed, or is of another run. Give it the "
                        "name of its step, or take it away.",
                        entry->second.string(), checkpoint.record.step));
      }
      folder.trust_checkpoint(entry->first);
      return checkpoint;
    } catch (const DamagedFileError& error) {
      // Other errors say nothing of the content: a file that the disk does not give today may be good tomorrow.
      const auto aside = folder.set_aside(entry->second);
      tell(fmt::format("warning: {}\nwarning: kept as {}\n", error.what(), aside.filename().string()));
    }
  }
  // Beginning anew would drop what the run has logged, so it is not done where there were checkpoints once.
  if (any_later) return std::nullopt;
  if (checkpoints.empty() && folder.checkpoints_set_aside().empty()) return std::nullopt;
  throw UserError(fmt::format("no checkpoint in {} can be read. Start a new run with `spectral-gan train {}`.",
                              folder.path().string(), folder.config_path().string()));
}

void carry_over(const RunFolder& folder, const Checkpoint& checkpoint, const Config& config, TrainingState& state) {
  const auto trained = parse_resolved_config(checkpoint.record.config, checkpoint.path.string() + " (config)");
  state.other_batches_images += state.discriminator_updates * (trained.train.batch - config.train.batch);
  // The metrics line before the checkpoint is as near as runs without a budget need it.
  const auto& record = checkpoint.record;
  state.train_seconds = record.train_us > 0
                            ? static_cast<double>(record.train_us) / 1e6
                            : number_or(metrics_line(folder.metrics_path(), record.metrics_lines), "train_s", 0.0);
}

}  // namespace sgan
