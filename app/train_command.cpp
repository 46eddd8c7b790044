#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "app/commands.h"
#include "app/interrupt.h"
#include "app/progress.h"
#include "app/session.h"
#include "configs/advice.h"
#include "configs/loader.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nThe run's folder is the last line of stdout. Ctrl-C or SIGTERM finishes the step, saves a checkpoint and says "
    "how\n"
    "to go on; a second one stops at once. `spectral-gan config` explains every key.\n\n"
    "  spectral-gan train configs/digits/spectral.yaml\n"
    "  spectral-gan train configs/digits/spectral.yaml seed=1 'penalties=[{kind: gp, weight: 10}]'\n";

struct Arguments {
  std::string config;
  std::vector<std::string> overrides;
  std::string out;
  std::optional<int64_t> stop_at;
};

void train(const Arguments& arguments) {
  end_on_interrupt();
  const auto config = load_config(arguments.config, arguments.overrides);
  for (const auto& line : advice(config)) tell(fmt::format("warning: {}\n", line));
  // The folder's own errors come before minutes of loading; the folder itself comes after everything that can fail.
  if (!arguments.out.empty()) RunFolder::check_vacant(arguments.out);
  auto prepared = prepare(config);
  initialize_from_first_batch(config, prepared);
  auto folder = arguments.out.empty() ? RunFolder::create(config.output, config.name, config.seed)
                                      : RunFolder::create_at(arguments.out);
  tell(fmt::format("run folder: {}\n", folder.path().string()));
  const bool finished = run_session(folder, config, prepared, 0, arguments.stop_at);
  end_session(folder, finished, config.train.steps);
}

}  // namespace

void add_train_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("train", "Train a GAN as a config describes it");
  command->add_option("config", arguments->config, "YAML config, e.g. configs/digits/spectral.yaml")->required();
  command->add_option("overrides", arguments->overrides, "key.sub=value, replacing what the config says");
  command->add_option("--out", arguments->out, "Run folder to make (default: a numbered one below the config's output)")
      ->type_name("DIR");
  add_stop_at(*command, arguments->stop_at);
  command->footer(kFooter);
  command->callback([arguments] { train(*arguments); });
}

}  // namespace sgan
