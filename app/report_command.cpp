#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <memory>

#include "app/commands.h"
#include "app/comparison_report.h"
#include "configs/error.h"
#include "report/page.h"
#include "report/text_table.h"
#include "run/atomic_file.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nWrites one self-contained HTML file: table, sample grids side by side over the steps, curves, configs; of a\n"
    "comparison also intervals, differences to the baseline and what the seeds can tell, and summary.json, .csv, .md "
    "and\n"
    ".tex beside it. It opens from disk with the network off. The table is printed too; the page's path is the last "
    "line\n"
    "of stdout. Unfinished runs and comparisons are shown as far as they are.\n\n"
    "  spectral-gan report outputs/digits/00000-digits-spectral-seed0\n"
    "  spectral-gan report outputs/compare/digits\n"
    "  spectral-gan report outputs/demo/none outputs/demo/gp outputs/demo/spectral --out report.html\n";

struct Arguments {
  std::vector<std::string> runs;
  std::filesystem::path out;
};

void show_comparison(const Arguments& arguments) {
  const auto folder = ComparisonFolder::open(arguments.runs.front());
  const auto out = arguments.out.empty() ? folder.report_path() : arguments.out;
  const auto summary = report_comparison(folder, out);
  fmt::print("{}\n{}\n", summary_text(summary), out.string());
}

void report(const Arguments& arguments) {
  const auto comparison = std::ranges::find_if(arguments.runs, ComparisonFolder::is_one);
  if (comparison != arguments.runs.end()) {
    if (arguments.runs.size() == 1) return show_comparison(arguments);
    throw UserError(fmt::format("{} is a comparison, which has a page of its own. Report on it alone, or name single "
                                "runs, such as those in {}/runs.",
                                *comparison, *comparison),
                    UserError::Kind::usage);
  }
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
  auto* command =
      program.add_subcommand("report", "Show a comparison, one run, or several runs side by side, as a page");
  command->add_option("runs", arguments->runs, "Run folders, or the folder of one comparison")
      ->required()
      ->type_name("DIR");
  command->add_option("--out", arguments->out, "Page to write (default: report.html in the run's folder, or here)")
      ->type_name("FILE");
  command->footer(kFooter);
  command->callback([arguments] { report(*arguments); });
}

}  // namespace sgan
