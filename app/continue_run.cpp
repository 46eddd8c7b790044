#include "app/continue_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include "app/failure.h"
#include "app/last_checkpoint.h"
#include "app/overrides.h"
#include "app/progress.h"
#include "app/run_log.h"
#include "app/session.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "run/json_text.h"
#include "training/checkpoint.h"

namespace sgan {
namespace {

// What the run was trained with so far.
Config trained_config(const RunFolder& folder, const std::optional<Checkpoint>& checkpoint) {
  if (!checkpoint) return load_config(folder.config_path());
  return parse_resolved_config(checkpoint->record.config, checkpoint->path.string() + " (config)");
}

void refuse_changes(const RunFolder& folder, const std::vector<KeyChange>& changes,
                    const std::optional<Checkpoint>& checkpoint) {
  const auto& path = folder.path().string();
  std::vector<std::string> keys;
  for (const auto& change : changes) keys.push_back(change.key);
  throw UserError(
      fmt::format(
          "the config differs from the one that {} was trained with ({}), so going on would be another run: {}. "
          "Undo the change, go on with it by `spectral-gan resume {} --override`, which the run records, or "
          "start a new run with `spectral-gan train {}`.",
          checkpoint ? checkpoint->path.string() : path, fmt::join(keys, ", "), change_text(changes), path,
          folder.config_path().string()),
      UserError::Kind::usage);
}

// Restores the state; where the config was changed, an error says by what.
void restore_changed(const Checkpoint& checkpoint, const RunFolder& folder, const std::vector<KeyChange>& changes,
                     TrainingState& state) {
  try {
    restore(checkpoint, state);
  } catch (const UserError& error) {
    if (changes.empty()) throw;
    throw UserError(
        fmt::format("this change makes another state than the run's, so no checkpoint fits it: {}. ({}) Only "
                    "keys that leave all tensors as they are can be overridden; start a new run with "
                    "`spectral-gan train {}` for others. Nothing was changed.",
                    change_text(changes), error.what(), folder.config_path().string()),
        UserError::Kind::usage);
  }
}

// True where no step is left. A run that ends by time does so when its last step is done, unless it was given more.
bool is_done(const Checkpoint& checkpoint, const Config& trained, const Config& config) {
  const auto& record = checkpoint.record;
  return record.step >= config.train.steps || (record.last && config.train.seconds == trained.train.seconds);
}

void check_data_unchanged(const Prepared& prepared, const Checkpoint& checkpoint) {
  if (prepared.data_fingerprint == checkpoint.record.data) return;
  throw UserError(
      fmt::format("the data differ from those that {} was trained with; they are now: {}. Going on would be "
                  "another run. Restore the data, or start a new run.",
                  checkpoint.path.string(), prepared.dataset.description));
}

void finish(RunFolder& folder, int64_t steps) {
  // A run killed between its last checkpoint and its status still says running.
  auto status = folder.read_status();
  status["status"] = "finished";
  status["step"] = steps;
  for (const char* key : {"failure", "why"}) status.erase(key);
  if (!status.contains("end") || status["end"].is_null()) status["end"] = now_text();
  folder.write_status(status);
  tell(fmt::format("{} is finished: all {} steps are done\n", folder.path().string(), steps));
  fmt::print("{}\n", folder.path().string());
}

// A run that has stopped or ended by itself has saved. Where its checkpoints are gone (a disk that is not mounted, a
// copy without them), to begin anew would drop all that it has made.
void require_checkpoints(const RunFolder& folder) {
  const auto status = folder.read_status();
  const auto how = text_or(status, "status", "");
  const auto step = integer_or(status, "step", 0);
  if ((how != "finished" && how != "interrupted") || step == 0) return;
  throw UserError(
      fmt::format("{} is {} at step {} and holds no checkpoint: they were taken away. Put them back, or start "
                  "a new run with `spectral-gan train {}`.",
                  folder.path().string(), how, step, folder.config_path().string()));
}

// prepare(), whose failure is the run's: no memory, no device, data that are gone. A config that is refused is not.
Prepared prepare_again(RunFolder& folder, const Config& config) {
  try {
    return prepare(config);
  } catch (const std::exception& error) {
    const auto* user_error = dynamic_cast<const UserError*>(&error);
    if (user_error == nullptr || user_error->kind() == UserError::Kind::failure) record_failure(folder, explain(error));
    throw;
  }
}

// Sums over another number of threads round otherwise.
void warn_of_other_threads(const RunFolder& folder, const Prepared& prepared) {
  const auto status = folder.read_status();
  const auto before = integer_or(status, "threads", 0);
  const auto now = int64_t{torch::get_num_threads()};
  if (before == 0 || before == now || !prepared.device.is_cpu() || text_or(status, "device", "") != "cpu") return;
  tell(
      fmt::format("warning: the run was trained with {} threads and goes on with {}: it stays a good run, but not to "
                  "the last bit the one that was interrupted. threads={} keeps that.\n",
                  before, now, before));
}

}  // namespace

void continue_run(RunFolder& folder, const Config& config, std::optional<int64_t> stop_at, ChangedConfig changed) {
  const auto checkpoint = last_good_checkpoint(folder);
  if (!checkpoint) require_checkpoints(folder);
  const auto step = checkpoint ? checkpoint->record.step : 0;
  const auto trained = trained_config(folder, checkpoint);
  const auto changes = run_changes(trained, config);
  const auto news = unrecorded(folder, step, changes);
  if (!news.empty() && changed == ChangedConfig::refused) refuse_changes(folder, news, checkpoint);
  check_may_change(folder, changes);
  if (checkpoint && is_done(*checkpoint, trained, config)) {
    if (!news.empty()) record_override(folder, config, step, news);
    return finish(folder, step);
  }
  if (stop_at && *stop_at <= step) {
    throw UserError(fmt::format("--stop-at {}: the run is at step {} already. Give a later step.", *stop_at, step),
                    UserError::Kind::usage);
  }

  auto prepared = prepare_again(folder, config);
  if (checkpoint) {
    check_data_unchanged(prepared, *checkpoint);
    restore_changed(*checkpoint, folder, changes, prepared.state);
    prepared.rollback = {checkpoint->record.rollback_from, checkpoint->record.rollback_to};
    carry_over(folder, *checkpoint, config, prepared.state);
    tell(fmt::format("resuming {} from step {}\n", folder.path().string(), step));
  } else {
    initialize_from_first_batch(config, prepared);
    tell(fmt::format("{} has no checkpoint yet: starting from step 0\n", folder.path().string()));
  }
  if (changed == ChangedConfig::recorded) record_override(folder, config, step, news);
  if (!news.empty()) tell(fmt::format("overridden: {}\n", change_text(news)));
  warn_of_other_threads(folder, prepared);
  forget_later_steps(folder.log_path(), step);
  if (!changes.empty()) tell_dropped(folder.drop_later_steps(step));  // without a change all is made again as it was
  const auto metrics_lines = checkpoint ? checkpoint->record.metrics_lines : 0;
  const bool finished = run_session(folder, config, prepared, metrics_lines, stop_at);
  end_session(folder, finished, prepared.state.step);
}

}  // namespace sgan
