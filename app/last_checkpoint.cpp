#include "app/last_checkpoint.h"

#include <fmt/format.h>

#include "app/progress.h"
#include "configs/error.h"
#include "run/metrics_log.h"

namespace sgan {

std::optional<Checkpoint> last_good_checkpoint(RunFolder& folder) {
  const auto checkpoints = folder.checkpoints();
  for (auto entry = checkpoints.rbegin(); entry != checkpoints.rend(); ++entry) {
    try {
      auto checkpoint = read_checkpoint(entry->second);
      folder.trust_checkpoint(entry->first);
      return checkpoint;
    } catch (const DamagedFileError& error) {
      // Other errors say nothing of the content: a file that the disk does not give today may be good tomorrow.
      const auto aside = folder.set_aside(entry->second);
      tell(fmt::format("warning: {}\nwarning: kept as {}\n", error.what(), aside.filename().string()));
    }
  }
  // Beginning anew would drop what the run has logged, so it is not done where there were checkpoints once.
  if (checkpoints.empty() && folder.checkpoints_set_aside().empty()) return std::nullopt;
  throw UserError(fmt::format("no checkpoint in {} can be read. Start a new run with `spectral-gan train {}`.",
                              folder.path().string(), folder.config_path().string()));
}

double train_seconds(const RunFolder& folder, const Checkpoint& checkpoint) {
  if (checkpoint.record.train_us > 0) return static_cast<double>(checkpoint.record.train_us) / 1e6;
  if (checkpoint.record.metrics_lines == 0) return 0;
  const auto lines = read_metrics(folder.metrics_path());
  const auto index = static_cast<size_t>(checkpoint.record.metrics_lines - 1);
  return index < lines.size() ? lines[index].value("train_s", 0.0) : 0;
}

}  // namespace sgan
