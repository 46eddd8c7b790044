#include "comparison/summary_words.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "run/format.h"

namespace sgan {

double gain(double difference, bool lower_is_better) {
  return lower_is_better ? -difference : difference;
}

int64_t pairs_of(const StrategyScore& strategy) {
  return strategy.difference ? strategy.difference->mean.n : 0;
}

bool is_significant(const StrategyScore& strategy) {
  return strategy.difference && strategy.difference->p_corrected <= kLevel;
}

std::string entry_path(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

std::string number(double value) {
  return std::isnan(value) ? std::string(kNone) : format_number(value);
}

std::string relation_of_p(double p) {
  return p < 0.001 ? "< 0.001" : "= " + number(p);
}

std::string cell_of_p(double p) {
  return p < 0.001 ? "< 0.001" : number(p);
}

std::string with_interval(const Interval& interval) {
  if (std::isnan(interval.low)) return number(interval.mean);
  return fmt::format("{} [{}, {}]", number(interval.mean), number(interval.low), number(interval.high));
}

std::string memory_text(double value) {
  const double mebibytes = value / (1024.0 * 1024.0);
  return mebibytes < 10240 ? number(mebibytes) + " MiB" : number(mebibytes / 1024) + " GiB";
}

std::string plural(int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string listed(const Texts& names) {
  if (names.size() < 2) return names.empty() ? "" : names.front();
  return fmt::format("{} and {}", fmt::join(names.begin(), names.end() - 1, ", "), names.back());
}

std::optional<double> median(const std::vector<std::optional<double>>& values) {
  std::vector<double> known;
  for (const auto& value : values) {
    if (value) known.push_back(*value);
  }
  if (known.empty()) return std::nullopt;
  std::ranges::sort(known);
  const size_t half = known.size() / 2;
  return known.size() % 2 == 1 ? known[half] : std::midpoint(known[half - 1], known[half]);
}

size_t baseline_of(const Summary& summary) {
  const auto found = std::ranges::find(summary.strategies, summary.baseline, &StrategyInfo::name);
  return static_cast<size_t>(found - summary.strategies.begin());
}

int64_t comparisons_of(const Summary& summary) {
  return static_cast<int64_t>(summary.strategies.size()) - 1;
}

bool all_finished(const StrategyInfo& info) {
  return info.finished == info.runs();
}

std::string runs_of(const StrategyInfo& info) {
  const std::string done = fmt::format("{} of {}", info.finished + info.collapsed, info.runs());
  if (all_finished(info)) return done;
  Texts others;
  if (info.diverged > 0) others.push_back(fmt::format("{} diverged", info.diverged));
  if (info.failed > 0) others.push_back(fmt::format("{} failed", info.failed));
  if (info.unfinished > 0) others.push_back(fmt::format("{} unfinished", info.unfinished));
  return fmt::format("{} finished{}{}", done, info.collapsed > 0 ? fmt::format(", {} collapsed", info.collapsed) : "",
                     others.empty() ? "" : fmt::format(" ({})", fmt::join(others, ", ")));
}

std::set<size_t> best_of(const ScoreSummary& score) {
  std::set<size_t> best;
  double most = -std::numeric_limits<double>::infinity();
  int64_t fewest = std::numeric_limits<int64_t>::max();
  for (const StrategyScore& strategy : score.strategies) {
    if (strategy.mean) fewest = std::min(fewest, strategy.failures);
  }
  for (size_t i = 0; i < score.strategies.size(); ++i) {
    const StrategyScore& strategy = score.strategies[i];
    if (!strategy.mean || strategy.failures > fewest) continue;
    const double goodness = gain(strategy.mean->mean, score.lower_is_better);
    if (goodness > most) best.clear();
    if (goodness >= most) best.insert(i);
    most = std::max(most, goodness);
  }
  return best;
}

std::string direction(const ScoreSummary& score) {
  return score.lower_is_better ? "lower is better" : "higher is better";
}

std::string target_text(const Summary& summary) {
  return fmt::format("{} {} {}", printable(summary.deciding().name), summary.deciding().lower_is_better ? "≤" : "≥",
                     number(summary.target));
}

int64_t reached_target(const StrategyCost& cost) {
  return std::ranges::count_if(cost.steps_to_target, [](const auto& step) { return step.has_value(); });
}

std::string time_to_target(const StrategyCost& cost) {
  const int64_t reached = reached_target(cost);
  if (reached == 0) return "never";
  const auto seconds = median(cost.seconds_to_target);
  return fmt::format("{} ({} of {})", seconds ? number(*seconds) + " s" : std::string(kNone), reached,
                     cost.steps_to_target.size());
}

std::string bytes_cell(const std::optional<double>& value) {
  return value ? memory_text(*value) : std::string(kNone);
}

bool any_cost(const Summary& summary, std::optional<double> StrategyCost::*value) {
  return std::ranges::any_of(summary.costs, [&](const StrategyCost& cost) { return (cost.*value).has_value(); });
}

bool any_bootstrap(const Summary& summary) {
  return std::ranges::any_of(summary.scores, [](const ScoreSummary& score) {
    return std::ranges::any_of(score.strategies, [](const StrategyScore& strategy) {
      return strategy.mean && strategy.mean->n >= kBootstrapValues;
    });
  });
}

void add_entries(const Json& value, const std::string& path, Texts& entries) {
  if (value.is_object()) {
    for (const auto& [key, child] : value.items()) add_entries(child, entry_path(path, key), entries);
    return;
  }
  std::string text =
      value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  const bool is_hash = text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (is_hash) text = text.substr(0, 8) + "…";
  entries.push_back(printable(path) + ": " + printable(text));
}

std::string protocol_line(const Summary& summary) {
  Texts entries;
  if (summary.protocol.is_object()) add_entries(summary.protocol, "", entries);
  return fmt::format("{}", fmt::join(entries, "; "));
}

Texts notes_of(const Summary& summary) {
  const int64_t comparisons = comparisons_of(summary);
  Texts notes;
  notes.push_back(fmt::format(
      "Means over the seeds at the last step with 95 % intervals by Student's t{}; differences to {} are paired "
      "by seed, with intervals and p by the paired t test, p corrected after Holm over {}. d_z is the mean of "
      "the differences over their standard deviation. Student's t supposes about normal scores, which few seeds cannot "
      "show.",
      any_bootstrap(summary) ? fmt::format(" (BCa bootstrap from {} values on)", kBootstrapValues) : "",
      printable(summary.baseline), plural(comparisons, "comparison")));
  notes.push_back(
      "A run that diverged or failed has no score: it enters neither mean nor difference, takes the last rank of its "
      "seed, and is counted under runs. Scores of collapsed runs count.");
  if (summary.scores.size() > 1) {
    notes.push_back(fmt::format("{} decides; the other scores are descriptive.", printable(summary.deciding().name)));
  }
  notes.push_back(
      "Times and memory are of the machines and the load that the runs met; memory is the largest of the runs.");
  if (std::isfinite(summary.target)) {
    notes.push_back(
        fmt::format("Time to {} ({}): seconds of updates until an evaluation first met it, the median over the "
                    "seeds that did.",
                    target_text(summary), summary.target_of));
  }
  return notes;
}

Texts troubles_of(const Summary& summary) {
  Texts lines;
  for (const StrategyInfo& info : summary.strategies) {
    for (const std::string& trouble : info.troubles) lines.push_back(fmt::format("{}, {}", info.name, trouble));
  }
  return lines;
}

}  // namespace sgan
