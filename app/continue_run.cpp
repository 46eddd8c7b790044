#include "app/continue_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "app/progress.h"
#include "app/session.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "run/metrics_log.h"
#include "training/checkpoint.h"

namespace sgan {
namespace {

// The newest checkpoint that is whole; none where the run was killed before its first.
std::optional<Checkpoint> last_good(const RunFolder& folder) {
  const auto checkpoints = folder.checkpoints();
  for (auto entry = checkpoints.rbegin(); entry != checkpoints.rend(); ++entry) {
    try {
      return read_checkpoint(entry->second);
    } catch (const UserError& error) {
      // Out of the way, so that retention does not count it among the good ones.
      auto aside = entry->second;
      aside += ".damaged";
      tell(fmt::format("warning: {}\nwarning: kept as {}\n", error.what(), aside.filename().string()));
      std::filesystem::rename(entry->second, aside);
    }
  }
  if (checkpoints.empty()) return std::nullopt;
  throw UserError(fmt::format("no checkpoint in {} can be read. Start a new run with `spectral-gan train {}`.",
                              folder.path().string(), folder.config_path().string()));
}

void check_config_unchanged(const RunFolder& folder, const Config& config, const Checkpoint& checkpoint) {
  const auto trained = parse_resolved_config(checkpoint.record.config, checkpoint.path.string() + " (config)");
  auto keys = differing_keys(trained, config);
  // These say where and how to compute, not what.
  std::erase_if(keys,
                [](const std::string& key) { return key == "device" || key == "execution" || key == "data.memory"; });
  if (keys.empty()) return;
  throw UserError(fmt::format("{} differs from the config that {} was trained with ({}), so going on would be another "
                              "run. Undo the change, or start a new run with `spectral-gan train {}`.",
                              folder.config_path().string(), checkpoint.path.string(), fmt::join(keys, ", "),
                              folder.config_path().string()),
                  UserError::Kind::usage);
}

void check_data_unchanged(const Prepared& prepared, const Checkpoint& checkpoint) {
  if (prepared.data_fingerprint == checkpoint.record.data) return;
  throw UserError(
      fmt::format("the data differ from those that {} was trained with; they are now: {}. Going on would be "
                  "another run. Restore the data, or start a new run.",
                  checkpoint.path.string(), prepared.dataset.description));
}

// Seconds of updates until the checkpoint; the metrics line before it is as near as runs without a budget need it.
double train_seconds(const RunFolder& folder, const Checkpoint& checkpoint) {
  if (checkpoint.record.train_us > 0) return static_cast<double>(checkpoint.record.train_us) / 1e6;
  if (checkpoint.record.metrics_lines == 0) return 0;
  const auto lines = read_metrics(folder.metrics_path());
  const auto index = static_cast<size_t>(checkpoint.record.metrics_lines - 1);
  return index < lines.size() ? lines[index].value("train_s", 0.0) : 0;
}

void finish(RunFolder& folder, int64_t steps) {
  // A run killed between its last checkpoint and its status still says running.
  auto status = folder.read_status();
  status["status"] = "finished";
  status["step"] = steps;
  folder.write_status(status);
  tell(fmt::format("{} is finished: all {} steps are done\n", folder.path().string(), steps));
  fmt::print("{}\n", folder.path().string());
}

}  // namespace

void continue_run(RunFolder& folder, const Config& config, std::optional<int64_t> stop_at) {
  const auto checkpoint = last_good(folder);
  const auto step = checkpoint ? checkpoint->record.step : 0;
  if (checkpoint) check_config_unchanged(folder, config, *checkpoint);
  if (step >= config.train.steps || (checkpoint && checkpoint->record.last)) return finish(folder, step);
  if (stop_at && *stop_at <= step) {
    throw UserError(fmt::format("--stop-at {}: the run is at step {} already. Give a later step.", *stop_at, step),
                    UserError::Kind::usage);
  }

  auto prepared = prepare(config);
  if (checkpoint) {
    check_data_unchanged(prepared, *checkpoint);
    restore(*checkpoint, prepared.state);
    prepared.state.train_seconds = train_seconds(folder, *checkpoint);
    tell(fmt::format("resuming {} from step {}\n", folder.path().string(), step));
  } else {
    initialize_from_first_batch(config, prepared);
    tell(fmt::format("{} has no checkpoint yet: starting from step 0\n", folder.path().string()));
  }
  const auto metrics_lines = checkpoint ? checkpoint->record.metrics_lines : 0;
  const bool finished = run_session(folder, config, prepared, metrics_lines, stop_at);
  end_session(folder, finished, prepared.state.step);
}

}  // namespace sgan
