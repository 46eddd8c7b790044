#include "report/text_table.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "run/format.h"

namespace sgan {
namespace {

std::string cell(const std::optional<double>& value) {
  return value ? format_number(*value) : "–";
}

// The unconstrained run to compare times with: of the same seed if there is one.
const RunSummary* baseline(const std::vector<RunSummary>& runs, const std::string& seed) {
  const RunSummary* found = nullptr;
  for (const RunSummary& run : runs) {
    if (run.strategy == "none" && run.ms_per_step && (found == nullptr || (run.seed == seed && found->seed != seed))) {
      found = &run;
    }
  }
  return found;
}

std::string time_ratio(const RunSummary& run, const RunSummary& none) {
  return run.ms_per_step ? fmt::format("{:.2f}×", *run.ms_per_step / *none.ms_per_step) : "–";
}

}  // namespace

Table comparison(const std::vector<RunSummary>& runs) {
  const bool has_baseline = baseline(runs, "") != nullptr;
  Table table{{"strategy", "ms/step", "slope mean", "slope max", "max σ", "∏ σ", "status"}, {}};
  if (has_baseline) table.header.insert(table.header.begin() + 2, "vs none");
  const std::vector<std::string> labels = run_labels(runs);
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunSummary& run = runs[i];
    std::vector<std::string>& row = table.rows.emplace_back();
    row = {labels[i], cell(run.ms_per_step)};
    if (has_baseline) row.push_back(time_ratio(run, *baseline(runs, run.seed)));
    for (const auto& value : {run.slope_mean, run.slope_max, run.sigma_max, run.sigma_product})
      row.push_back(cell(value));
    row.push_back(fmt::format("{}, step {}", run.status, format_count(static_cast<double>(run.steps))));
  }
  return table;
}

std::string comparison_table(const std::vector<RunSummary>& runs) {
  const Table table = comparison(runs);
  return text_table(table, {0, table.header.size() - 1});
}

std::string text_table(const Table& table, const std::set<size_t>& left) {
  const size_t columns = table.header.size();
  std::vector<size_t> widths(columns, 0);
  const auto widen = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < columns; ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  };
  widen(table.header);
  std::ranges::for_each(table.rows, widen);

  std::string text;
  const auto add = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < columns; ++i) {
      const std::string padding(widths[i] - display_width(row[i]), ' ');
      if (i > 0) line += "  ";
      line += left.contains(i) ? printable(row[i]) + padding : padding + printable(row[i]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  add(table.header);
  std::vector<std::string> rule;
  for (const size_t width : widths) {
    rule.emplace_back();
    for (size_t i = 0; i < width; ++i) rule.back() += "─";
  }
  add(rule);
  std::ranges::for_each(table.rows, add);
  return text;
}

}  // namespace sgan
