#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "app/commands.h"
#include "app/continue_run.h"
#include "app/follower.h"
#include "app/interrupt.h"
#include "app/progress.h"
#include "app/session.h"
#include "configs/findings.h"
#include "configs/loader.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nContinues from the run's last good checkpoint as if it had never stopped: on the CPU, with the same number of\n"
    "threads and the same data, every tensor ends bit for bit as in a run that was left alone. A damaged checkpoint "
    "is\n"
    "named, set aside as *.damaged, and the one before it used.\n\n"
    "A config that is no longer the run's, by key=value or in its config.yaml, is refused; device, execution and\n"
    "data.memory may change. With --override the run goes on with the new values: config.yaml has them, run.json\n"
    "lists what was changed at which step. What would change a tensor's shape, the data or the seed makes another "
    "run\n"
    "and is refused in any case.\n\n"
    "  spectral-gan resume RUN\n"
    "  spectral-gan resume RUN train.steps=20000 optimizer.generator.lr=1e-4 --override\n";

struct Arguments {
  std::string run;
  std::vector<std::string> overrides;
  bool override = false;
  std::optional<int64_t> stop_at;
};

void resume(const Arguments& arguments) {
  end_on_interrupt(kNothingToSave);
  join_processes();
  if (processes() != nullptr && !processes()->is_first()) return follow(*processes());
  auto folder = RunFolder::open(arguments.run);
  const auto config = load_config(folder.config_path(), arguments.overrides);
  if (arguments.override) {
    for (const auto& finding : findings(config)) tell(one_line(finding) + "\n");
  }
  continue_run(folder, config, arguments.stop_at,
               arguments.override ? ChangedConfig::recorded : ChangedConfig::refused);
}

}  // namespace

void add_resume_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("resume", "Continue a run that was interrupted or killed, exactly");
  command->add_option("run", arguments->run, "Run folder")->required()->type_name("RUN");
  command->add_option("overrides", arguments->overrides, "key.sub=value, replacing what the run's config.yaml says")
      ->type_name("KEY=VALUE");
  command->add_flag("--override", arguments->override, "Go on with a changed config, and record the change");
  add_stop_at(*command, arguments->stop_at);
  command->footer(kFooter);
  command->callback([arguments] { resume(*arguments); });
}

}  // namespace sgan
