#include "report/comparison_tables.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "report/comparison_view.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/score_names.h"
#include "run/format.h"

namespace sgan {
namespace {

constexpr std::string_view kNone = "–";

template <class Value, class Format>
std::string cell(const std::optional<Value>& value, Format format) {
  return value ? escape_html(format(*value)) : std::string(kNone);
}

std::string header_of(const ScoreSummary& score) {
  return fmt::format("{}&nbsp;{}", escape_html(score_title(score.name)), score.lower_is_better ? "↓" : "↑");
}

// "3 of 3", and what became of the others.
std::string runs_text(const StrategyInfo& info) {
  const int64_t scored = info.finished + info.collapsed;
  std::string text = fmt::format("{} of {}", scored, scored + info.diverged + info.failed + info.unfinished);
  const auto add = [&](int64_t count, std::string_view what) {
    if (count > 0) text += fmt::format(", {} {}", count, what);
  };
  add(info.diverged, "diverged");
  add(info.failed, "failed");
  add(info.unfinished, "unfinished");
  add(info.collapsed, "collapsed");
  return text;
}

std::string verdict_text(const StrategyScore& score) {
  const std::string name(name_of(score.verdict));
  switch (score.verdict) {
    case Verdict::better:
      return "<strong>▲ " + name + "</strong>";
    case Verdict::worse:
      return "<strong>▼ " + name + "</strong>";
    case Verdict::undecided:
      return score.seeds_needed ? fmt::format("{} (about {} seeds)", name, *score.seeds_needed) : name;
    case Verdict::baseline:
    case Verdict::too_few:
      break;
  }
  return name;
}

std::string p_text(double p) {
  return std::isnan(p) ? std::string(kNone) : p < 0.001 ? "&lt; 0.001" : format_number(p, 2);
}

std::string memory_text(double bytes) {
  return format_count(bytes / (1 << 20)) + " MiB";
}

// The mean over the seeds that met the target, and how many did.
std::string target_text(const std::vector<std::optional<double>>& seconds) {
  double sum = 0;
  int64_t met = 0;
  for (const auto& value : seconds) {
    if (!value) continue;
    sum += *value;
    ++met;
  }
  if (met == 0) return "never";
  const std::string mean = format_number(sum / static_cast<double>(met)) + " s";
  return met == static_cast<int64_t>(seconds.size()) ? mean : fmt::format("{} ({} of {})", mean, met, seconds.size());
}

struct Columns {
  bool memory, gpu_memory, target;
};

Columns columns_of(const Summary& summary) {
  const auto any = [&](auto has) { return std::ranges::any_of(summary.costs, has); };
  return {any([](const StrategyCost& cost) { return cost.peak_memory_bytes.has_value(); }),
          any([](const StrategyCost& cost) { return cost.peak_gpu_memory_bytes.has_value(); }),
          std::isfinite(summary.target)};
}

std::vector<std::string> deciding_row(const Summary& summary, size_t i, const Columns& columns) {
  const StrategyScore& score = summary.deciding().strategies[i];
  const StrategyCost& cost = summary.costs[i];
  std::vector<std::string> row = {escape_html(summary.strategies[i].name), runs_text(summary.strategies[i]),
                                  cell(score.mean, estimate_text)};
  if (score.difference) {
    row.push_back(escape_html(estimate_text(score.difference->mean)));
    const double effect = score.difference->effect;
    row.push_back(p_text(score.difference->p_corrected));
    row.push_back(std::isnan(effect) ? std::string(kNone) : format_number(effect));
  } else {
    row.insert(row.end(), 3, std::string(kNone));
  }
  row.push_back(cell(score.rank, [](double rank) { return format_number(rank); }));
  row.push_back(verdict_text(score));
  row.push_back(cell(cost.ms_per_step, [](const Interval& time) { return format_number(time.mean); }));
  if (columns.memory) row.push_back(cell(cost.peak_memory_bytes, memory_text));
  if (columns.gpu_memory) row.push_back(cell(cost.peak_gpu_memory_bytes, memory_text));
  if (columns.target) row.push_back(target_text(cost.seconds_to_target));
  return row;
}

// The interval methods that the means of a score used, in order of appearance.
std::vector<std::string_view> methods_of(const ScoreSummary& score) {
  std::vector<std::string_view> methods;
  for (const StrategyScore& strategy : score.strategies) {
    if (!strategy.mean || strategy.mean->n < 2 || strategy.mean->method.empty()) continue;
    if (std::ranges::find(methods, strategy.mean->method) == methods.end()) methods.push_back(strategy.mean->method);
  }
  return methods;
}

std::string notes(const Summary& summary, const Columns& columns) {
  const ScoreSummary& score = summary.deciding();
  const auto methods = methods_of(score);
  std::string html = fmt::format(
      "<div class=\"note\">\n<p><b>Runs</b>: those that did all their steps, of all; only they have a score. "
      "<b>Mean</b> over the seeds at the last step with its 95 % interval{}. <b>Difference</b>: strategy minus "
      "{}, paired by seed over the seeds that both finished, with its 95 % interval by Student’s t. <b>p</b>: "
      "two-sided "
      "paired t test with Holm’s correction over the {} strategies compared with {}. <b>d<sub>z</sub></b>: mean over "
      "standard deviation of the differences; few seeds know it poorly. <b>Rank</b>: mean over the seeds, 1 is best; "
      "runs without a score share the last ranks. <b>Verdict</b>: better or worse where the corrected p is at most "
      "0.05; in brackets the number of seeds at which a difference as large as the one seen would be found with 80 % "
      "power, a rough estimate.</p>\n",
      methods.empty() ? "" : fmt::format(" ({})", escape_html(fmt::format("{}", fmt::join(methods, "; ")))),
      escape_html(summary.baseline), summary.strategies.size() - 1, escape_html(summary.baseline));
  html +=
      "<p><b>ms/step</b>: mean over the runs of the median wall time of one step, discriminator and generator "
      "updates with batch delivery";
  if (columns.memory) html += "; <b>memory</b>: the largest resident memory of a run’s process";
  if (columns.gpu_memory) html += "; <b>GPU memory</b>: the largest that a run’s allocator held";
  if (columns.target) {
    html += fmt::format(
        "; <b>time to target</b>: seconds of updates until an evaluation first met {} ({}), mean over the runs that "
        "met "
        "it",
        format_number(summary.target), escape_html(summary.target_of));
  }
  html += ". Times and memory are of the machines and the load that the runs met.</p>\n";
  return html + fmt::format("<p><b>{}</b>: {}.</p>\n</div>\n", escape_html(score.name),
                            escape_html(protocol_text(summary.protocol)));
}

std::string save_links(const Summary& summary) {
  return fmt::format(
      "Save all scores as {}, {} or {}.",
      download_link("summary.csv", "text/csv", summary_csv(summary), "CSV", "Save all scores as CSV"),
      download_link("summary.md", "text/markdown", summary_markdown(summary), "Markdown",
                    "Save all scores as Markdown"),
      download_link("summary.tex", "text/x-tex", summary_latex(summary), "LaTeX", "Save all scores as LaTeX"));
}

}  // namespace

std::string deciding_table(const Summary& summary) {
  const Columns columns = columns_of(summary);
  const ScoreSummary& score = summary.deciding();
  HtmlTable table;
  table.name = "Table 1";
  table.text = {1, 7};
  table.caption = fmt::format("<b>Table 1.</b> {} at the last step ({} is better), difference to {}, and cost. {}",
                              escape_html(score.name), score.lower_is_better ? "lower" : "higher",
                              escape_html(summary.baseline), save_links(summary));
  table.header = {"Strategy", "Runs",          header_of(score), "Difference to " + escape_html(summary.baseline),
                  "p",        "d<sub>z</sub>", "Rank",           "Verdict",
                  "ms/step"};
  if (columns.memory) table.header.emplace_back("Memory");
  if (columns.gpu_memory) table.header.emplace_back("GPU memory");
  if (columns.target) table.header.emplace_back("Time to target");
  for (size_t i = 0; i < summary.strategies.size(); ++i) table.rows.push_back(deciding_row(summary, i, columns));
  return html_table(table) + notes(summary, columns);
}

std::string other_scores_table(const Summary& summary) {
  if (summary.scores.size() < 2) return "";
  HtmlTable table;
  table.name = "Table 2";
  table.caption =
      "<b>Table 2.</b> The other scores: mean over the seeds at the last step with its 95 % interval, and the "
      "difference "
      "to " +
      escape_html(summary.baseline) + ", paired by seed. They describe; no test is made over them.";
  table.header = {"Strategy"};
  for (size_t i = 1; i < summary.scores.size(); ++i) {
    table.header.push_back(header_of(summary.scores[i]));
    table.header.emplace_back("Difference");
  }
  for (size_t strategy = 0; strategy < summary.strategies.size(); ++strategy) {
    std::vector<std::string>& row = table.rows.emplace_back();
    row.push_back(escape_html(summary.strategies[strategy].name));
    for (size_t i = 1; i < summary.scores.size(); ++i) {
      const StrategyScore& score = summary.scores[i].strategies[strategy];
      row.push_back(cell(score.mean, estimate_text));
      row.push_back(
          cell(score.difference, [](const PairedDifference& difference) { return estimate_text(difference.mean); }));
    }
  }
  return html_table(table);
}

}  // namespace sgan
