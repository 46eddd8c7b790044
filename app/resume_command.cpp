#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "app/commands.h"
#include "app/continue_run.h"
#include "app/interrupt.h"
#include "app/session.h"
#include "configs/loader.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nContinues from the run's last good checkpoint as if it had never stopped: on the CPU, with the same number of\n"
    "threads and the same data, every tensor ends bit for bit as in a run that was left alone. A damaged checkpoint "
    "is\n"
    "named, set aside as *.damaged, and the one before it used.\n";

struct Arguments {
  std::string run;
  std::optional<int64_t> stop_at;
};

void resume(const Arguments& arguments) {
  end_on_interrupt();
  auto folder = RunFolder::open(arguments.run);
  continue_run(folder, load_config(folder.config_path()), arguments.stop_at);
}

}  // namespace

void add_resume_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("resume", "Continue a run that was interrupted or killed, exactly");
  command->add_option("run", arguments->run, "Run folder")->required()->type_name("RUN");
  add_stop_at(*command, arguments->stop_at);
  command->footer(kFooter);
  command->callback([arguments] { resume(*arguments); });
}

}  // namespace sgan
