#include "app/loaded_checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/session.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "run/run_folder.h"

namespace sgan {
namespace {

std::filesystem::path find_checkpoint(const RunFolder& folder, std::optional<int64_t> step) {
  const auto checkpoints = folder.checkpoints();
  if (checkpoints.empty()) {
    throw UserError(
        fmt::format("{} has no checkpoint yet. Wait for the first one (checkpoint.every), or stop the run "
                    "with Ctrl-C, which saves one.",
                    folder.path().string()));
  }
  if (!step) return checkpoints.back().second;
  std::vector<int64_t> steps;
  for (const auto& [number, path] : checkpoints) {
    if (number == *step) return path;
    steps.push_back(number);
  }
  throw UserError(fmt::format("{} has no checkpoint of step {}; there are: {}.", folder.path().string(), *step,
                              fmt::join(steps, ", ")),
                  UserError::Kind::usage);
}

}  // namespace

void check_one_file(const std::filesystem::path& file, std::optional<int64_t> step) {
  if (!step) return;
  throw UserError("--step chooses among a run folder's checkpoints; " + file.string() + " is one file",
                  UserError::Kind::usage);
}

LoadedCheckpoint load_checkpoint(const std::filesystem::path& run, std::optional<int64_t> step) {
  LoadedCheckpoint loaded;
  auto path = run;
  if (std::filesystem::is_regular_file(run)) {
    check_one_file(run, step);
  } else {
    const auto folder = RunFolder::open_read_only(run);
    loaded.run = folder.path();
    path = find_checkpoint(folder, step);
  }
  loaded.checkpoint = read_checkpoint(path);
  const auto& record = loaded.checkpoint.record;
  loaded.config = parse_resolved_config(record.config, path.string() + " (config)");
  if (is_planar(loaded.config.data.kind) != (record.sample_shape.size() == 1)) {
    throw UserError(
        fmt::format("{}: its sample_shape does not fit its data.kind {}. The file was altered; use another.",
                    path.string(), name_of(loaded.config.data.kind)));
  }
  set_threads(loaded.config.threads);
  return loaded;
}

}  // namespace sgan
