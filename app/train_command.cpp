#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "app/commands.h"
#include "app/continue_run.h"
#include "app/data_facts.h"
#include "app/follower.h"
#include "app/interrupt.h"
#include "app/preset_path.h"
#include "app/progress.h"
#include "app/session.h"
#include "configs/error.h"
#include "configs/findings.h"
#include "configs/loader.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nThe run's folder is the last line of stdout. Ctrl-C, SIGTERM or SIGUSR1 finishes the step, saves a checkpoint "
    "and\n"
    "says how to go on, with exit code 130; a second Ctrl-C stops at once. `spectral-gan config` explains every "
    "key.\n\n"
    "  spectral-gan train configs/digits/spectral.yaml\n"
    "  spectral-gan train configs/digits/spectral.yaml seed=1 'penalties=[{kind: gp, weight: 10}]'\n";

struct Arguments {
  std::string config;
  std::vector<std::string> overrides;
  std::string out;
  std::optional<int64_t> stop_at;
  bool go_on = false;
};

void check_same_run(const RunFolder& folder, const Config& wanted) {
  auto keys = differing_run_keys(load_config(folder.config_path()), wanted);
  std::erase(keys, "output");
  if (keys.empty()) return;
  throw UserError(fmt::format("{} holds a run of another config (it differs in {}). Give another folder with --out, or "
                              "continue that run with `spectral-gan resume {}`.",
                              folder.path().string(), fmt::join(keys, ", "), folder.path().string()),
                  UserError::Kind::usage);
}

RunFolder claim(const std::string& path) {
  try {
    return RunFolder::claim(path);
  } catch (const RunBusyError& error) {
    tell(fmt::format("{}\n", error.what()));
    throw ExitCode{kBusy};
  }
}

RunFolder make_folder(const Arguments& arguments, const Config& config) {
  return arguments.out.empty() ? RunFolder::create(config.output, config.name, config.seed)
                               : RunFolder::create_at(arguments.out);
}

// claimed: a folder that holds no run yet, and is taken back where none begins.
Prepared prepare_new(const Config& config, std::optional<RunFolder>& claimed) {
  try {
    auto prepared = prepare(config);
    initialize_from_first_batch(config, prepared);
    return prepared;
  } catch (const std::exception&) {
    if (claimed) claimed->discard_unbegun();
    throw;
  }
}

void train(const Arguments& arguments) {
  end_on_interrupt(kNothingToSave);
  join_processes();
  if (processes() != nullptr && !processes()->is_first()) return follow(*processes());
  const auto config = load_config(preset_path(arguments.config), arguments.overrides);
  std::optional<RunFolder> folder;
  if (arguments.go_on) {
    folder = claim(arguments.out);
    if (folder->holds_run()) {
      check_same_run(*folder, config);
      return continue_run(*folder, config, arguments.stop_at);
    }
  } else if (!arguments.out.empty()) {
    // The folder's own errors come before minutes of loading; the folder itself comes after everything that can fail.
    RunFolder::check_vacant(arguments.out);
  }
  for (const auto& finding : findings(config)) tell(one_line(finding) + "\n");
  auto prepared = prepare_new(config, folder);
  for (const auto& finding : data_findings(config, data_facts(config, prepared.dataset)))
    tell(one_line(finding) + "\n");
  if (!folder) folder = make_folder(arguments, config);
  tell(fmt::format("run folder: {}\n", folder->path().string()));
  const bool finished = run_session(*folder, config, prepared, 0, arguments.stop_at);
  end_session(*folder, finished, prepared.state.step);
}

}  // namespace

void add_train_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("train", "Train a GAN as a config describes it");
  command->add_option("config", arguments->config, "YAML config, e.g. configs/digits/spectral.yaml")->required();
  command->add_option("overrides", arguments->overrides, "key.sub=value, replacing what the config says");
  auto* out = command
                  ->add_option("--out", arguments->out,
                               "Run folder to make (default: a numbered one below the config's output)")
                  ->type_name("DIR");
  command
      ->add_flag(
          "--continue", arguments->go_on,
          "Go on with the run in --out if it holds one of this config, begin it if it does not: the same command "
          "after whatever happened. Exit code 75 where another process is writing that run")
      ->needs(out);
  add_stop_at(*command, arguments->stop_at);
  command->footer(kFooter);
  command->callback([arguments] { train(*arguments); });
}

}  // namespace sgan
