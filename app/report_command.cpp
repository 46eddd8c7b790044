#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "app/commands.h"
#include "report/page.h"
#include "report/text_table.h"
#include "run/atomic_file.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nWrites one self-contained HTML file: table, sample grids side by side over the steps, curves, configs. It opens "
    "from\n"
    "disk with the network off. The table is printed too; the page's path is the last line of stdout.\n\n"
    "  spectral-gan report outputs/digits/00000-digits-spectral-seed0\n"
    "  spectral-gan report outputs/demo/none outputs/demo/gp outputs/demo/spectral --out report.html\n";

struct Arguments {
  std::vector<std::string> runs;
  std::filesystem::path out;
};

void report(const Arguments& arguments) {
  std::vector<RunSummary> runs;
  for (const auto& run : arguments.runs) runs.push_back(read_run(run));
  const auto out = !arguments.out.empty()       ? arguments.out
                   : arguments.runs.size() == 1 ? runs.front().folder / "report.html"
                                                : std::filesystem::path("report.html");
  write_file_atomically(out, report_page(runs));
  fmt::print("{}\n{}\n", comparison_table(runs), out.string());
}

}  // namespace

void add_report_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("report", "Show one run, or several side by side, as a page");
  command->add_option("runs", arguments->runs, "Run folders")->required()->type_name("RUN");
  command->add_option("--out", arguments->out, "Page to write (default: report.html in the run's folder, or here)")
      ->type_name("FILE");
  command->footer(kFooter);
  command->callback([arguments] { report(*arguments); });
}

}  // namespace sgan
