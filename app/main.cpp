#include <malloc.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/failure.h"
#include "app/processes.h"
#include "app/version.h"
#include "configs/error.h"
#include "configs/suggest.h"

namespace {

constexpr const char* kDescription =
    "spectral-gan trains, measures and compares ways of stabilising a GAN's discriminator:\n"
    "spectral normalization, gradient penalties, weight clipping and normalization layers.\n\n"
    "A run is described by a YAML config and lives in a folder of its own: config, metrics,\n"
    "sample grids and checkpoints from which it continues exactly.\n\n"
    "  spectral-gan train configs/digits/spectral.yaml\n"
    "  spectral-gan train configs/folder.yaml data.path=photos data.size=64 train.steps=20000\n"
    "  spectral-gan resume outputs/digits/00000-digits-spectral-seed0\n"
    "  spectral-gan compare configs/compare/digits.yaml\n"
    "  spectral-gan view                           the runs in the browser, live\n"
    "  spectral-gan config                         every key of a config, explained\n"
    "  spectral-gan doctor CONFIG                  what would stop or spoil its run, before it begins\n";

constexpr const char* kDefect = "This is a defect of spectral-gan, not of your input.\n";

constexpr const char* kFooter =
    "\n`spectral-gan COMMAND --help` is the manual of a command.\n"
    "Results go to stdout, progress and errors to stderr.\n"
    "Exit codes: 0 done, 1 failed, 2 usage or config, 75 another process has the run (`train --continue`),\n"
    "130 interrupted (after saving a checkpoint).";

// What was wrong with the command line, and which manual to read. CLI11 says "A subcommand is required" of a mistyped
// command; people want to hear which word was wrong.
std::string explain(const CLI::App& program, const CLI::ParseError& error, int argc, char** argv) {
  if (argc < 2) return "a COMMAND is required.\nSee `spectral-gan --help`.";
  const std::string word = argv[1];
  std::vector<std::string> names;
  for (const auto* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == word) return std::string(error.what()) + "\nSee `spectral-gan " + word + " --help`.";
    names.push_back(command->get_name());
  }
  std::string problem = error.what();
  if (!word.starts_with('-')) {
    const auto near = sgan::suggest(word, names);
    problem = "unknown command " + sgan::in_quotes(word) + (near.empty() ? "." : "; did you mean '" + near + "'?");
  }
  return problem + "\nSee `spectral-gan --help`.";
}

int run(int argc, char** argv) {
  CLI::App program(kDescription, "spectral-gan");
  program.footer(kFooter);
  program.set_version_flag("--version", std::string("spectral-gan ") + sgan::version() + " (" + sgan::revision() + ")");
  program.require_subcommand(1);
  program.get_formatter()->column_width(34);
  sgan::add_train_command(program);
  sgan::add_resume_command(program);
  sgan::add_sample_command(program);
  sgan::add_evaluate_command(program);
  sgan::add_lipschitz_command(program);
  sgan::add_export_command(program);
  sgan::add_import_command(program);
  sgan::add_quantize_command(program);
  sgan::add_compare_command(program);
  sgan::add_report_command(program);
  sgan::add_view_command(program);
  sgan::add_config_command(program);
  sgan::add_summary_command(program);
  sgan::add_data_command(program);
  sgan::add_bench_command(program);
  sgan::add_doctor_command(program);
  sgan::add_completion_command(program);
  sgan::add_manual_command(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return program.exit(success);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "error: %s\n", explain(program, error, argc, argv).c_str());
    return 2;
  }
  return 0;
}

// Each step allocates the same large buffers. By default glibc gives much of them back in between, and the system
// zeroes them anew page by page, a tenth of a step on the CPU. Here up to 1 GB that is free is kept, buffers above 32
// MB excepted, and torch asks for pages of 2 MB.
void keep_large_buffers() {
  constexpr int kKept = 1 << 30;        // bytes
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the most that glibc takes
  mallopt(M_TRIM_THRESHOLD, kKept);
  setenv("THP_MEM_ALLOC_ENABLE", "1", /*overwrite=*/0);  // whoever has set it decides
}

// One of several processes says which it is.
std::string rank_text() {
  const auto* processes = sgan::processes();
  return processes == nullptr || processes->is_first() ? "" : "rank " + std::to_string(processes->rank()) + ": ";
}

// Does what the command line says, tells what went wrong and returns the exit code. why: what went wrong.
int outcome(int argc, char** argv, std::string& why) {
  try {
    return run(argc, argv);
  } catch (const sgan::ExitCode& code) {
    return code.value;
  } catch (const sgan::UserError& error) {
    why = error.what();
    std::fprintf(stderr, "error: %s%s\n", rank_text().c_str(), error.what());
    return error.kind() == sgan::UserError::Kind::usage ? 2 : 1;
  } catch (const std::exception& error) {
    const auto failure = sgan::explain(error);
    why = failure.what;
    const bool defect = failure.kind == "defect";
    std::fprintf(stderr, "%s: %s%s\n%s", defect ? "internal error" : "error", rank_text().c_str(), why.c_str(),
                 defect ? kDefect : "");
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  keep_large_buffers();
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is an error of the write, which is told, and not an end
  std::string why;
  const int code = outcome(argc, argv, why);
  sgan::leave_processes(code, why);
  return code;
}
