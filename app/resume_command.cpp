#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "app/commands.h"
#include "app/session.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "training/checkpoint.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nContinues from the run's last good checkpoint as if it had never stopped: on the CPU, with the same number of\n"
    "threads, every tensor ends bit for bit as in a run that was left alone. A damaged checkpoint is named and the "
    "one\n"
    "before it used.\n";

struct Arguments {
  std::string run;
  std::optional<int64_t> stop_at;
};

// Fills the state from the newest checkpoint that is whole; returns the lines of metrics.jsonl that belong to it. A run
// without any checkpoint begins anew.
int64_t load_last_good(const RunFolder& folder, const Config& config, TrainingState& state) {
  const auto checkpoints = folder.checkpoints();
  for (auto entry = checkpoints.rbegin(); entry != checkpoints.rend(); ++entry) {
    CheckpointRecord record;
    try {
      record = read_checkpoint_record(entry->second);
      if (record.config == dump_config(config)) load_checkpoint(entry->second, state);
    } catch (const UserError& error) {
      fmt::print(stderr, "warning: {}\n", error.what());
      continue;
    }
    if (record.config != dump_config(config)) {
      throw UserError(fmt::format("{} differs from the config that {} was trained with, so going on would be another "
                                  "run. Undo the change, or start a new run with `spectral-gan train {}`.",
                                  folder.config_path().string(), entry->second.string(), folder.config_path().string()),
                      UserError::Kind::usage);
    }
    fmt::print(stderr, "resuming {} from step {}\n", folder.path().string(), record.step);
    return record.metrics_lines;
  }
  if (!checkpoints.empty()) {
    throw UserError(fmt::format("no checkpoint in {} can be read. Start a new run with `spectral-gan train {}`.",
                                folder.path().string(), folder.config_path().string()));
  }
  fmt::print(stderr, "{} has no checkpoint yet: starting from step 0\n", folder.path().string());
  return 0;
}

void resume(const Arguments& arguments) {
  auto folder = RunFolder::open(arguments.run);
  const auto config = load_config(folder.config_path());
  auto prepared = prepare(config);
  const auto metrics_lines = load_last_good(folder, config, prepared.state);
  if (prepared.state.step >= config.train.steps) {
    fmt::print(stderr, "{} is finished: all {} steps are done\n", folder.path().string(), config.train.steps);
    fmt::print("{}\n", folder.path().string());
    return;
  }
  const bool finished = run_session(folder, config, prepared, metrics_lines, arguments.stop_at);
  end_session(folder, finished, config.train.steps);
}

}  // namespace

void add_resume_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("resume", "Continue a run that was interrupted or killed, exactly");
  command->add_option("run", arguments->run, "Run folder")->required()->type_name("RUN");
  command->add_option("--stop-at", arguments->stop_at, "Save and stop after this step, as Ctrl-C would")
      ->type_name("STEP")
      ->check(CLI::PositiveNumber);
  command->footer(kFooter);
  command->callback([arguments] { resume(*arguments); });
}

}  // namespace sgan
