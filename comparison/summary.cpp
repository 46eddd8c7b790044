#include "comparison/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "comparison/summary_words.h"
#include "configs/error.h"
#include "run/format.h"

namespace sgan {

std::string full_score_name(const std::string& wanted, const Texts& names) {
  Texts matches;
  for (const std::string& name : names) {
    if (name == wanted) return name;
    if (name.starts_with(wanted + "_")) matches.push_back(name);
  }
  if (matches.size() == 1) return matches.front();
  Texts there;
  for (const std::string& name : matches.empty() ? names : matches) there.push_back(printable(name));
  if (!matches.empty()) {
    throw UserError(
        fmt::format("the score '{}' of the comparison fits several that its runs have: {}. "
                    "Name one of them in full under 'scores'",
                    printable(wanted), fmt::join(there, ", ")));
  }
  if (there.empty()) {
    throw UserError(
        fmt::format("no run of the comparison has any score yet, so '{}' cannot be compared. Wait for the "
                    "first evaluation, or run `spectral-gan evaluate` on finished runs",
                    printable(wanted)));
  }
  throw UserError(
      fmt::format("no run of the comparison has the score '{}'. There are: {}. Name one of them under "
                  "'scores', or run `spectral-gan evaluate` on the runs with the metric that is missing",
                  printable(wanted), fmt::join(there, ", ")));
}

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The results as a table.
class ResultGrid {
 public:
  ResultGrid(const ComparisonPlan& plan, const std::vector<RunResult>& results) : plan_(plan), results_(results) {
    if (plan.strategies.empty() || plan.seeds.empty() || plan.scores.empty()) {
      throw std::invalid_argument("a comparison needs strategies, seeds and scores");
    }
    if (results.size() != plan.strategies.size() * plan.seeds.size()) {
      throw std::invalid_argument("a comparison needs a result for each strategy and seed");
    }
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i].strategy == plan.strategies[i / seeds()].first && results[i].seed == plan.seeds[i % seeds()])
        continue;
      throw std::invalid_argument("a comparison's results are in another order than its plan");
    }
    const auto named = [&](const auto& strategy) { return strategy.first == plan.baseline; };
    const auto found = std::ranges::find_if(plan.strategies, named);
    if (found == plan.strategies.end())
      throw std::invalid_argument("a comparison's baseline is not among its strategies");
    baseline_ = static_cast<size_t>(found - plan.strategies.begin());
  }

  size_t strategies() const { return plan_.strategies.size(); }
  size_t seeds() const { return plan_.seeds.size(); }
  size_t baseline() const { return baseline_; }
  const std::vector<RunResult>& all() const { return results_; }
  const RunResult& at(size_t strategy, size_t seed) const { return results_[strategy * seeds() + seed]; }

 private:
  const ComparisonPlan& plan_;
  const std::vector<RunResult>& results_;
  size_t baseline_ = 0;
};

std::string run_name(const RunResult& run) {
  return fmt::format("{}, seed {}", printable(run.strategy), run.seed);
}

Texts score_names(const std::vector<RunResult>& results) {
  Texts names;
  for (const RunResult& run : results) {
    for (const auto& [name, points] : run.scores) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

bool is_lower_better(const std::string& score, const std::vector<RunResult>& results) {
  const RunResult* first = nullptr;
  for (const RunResult& run : results) {
    const auto found = run.lower_is_better.find(score);
    if (found == run.lower_is_better.end()) continue;
    if (first == nullptr) first = &run;
    if (found->second != first->lower_is_better.at(score)) {
      throw UserError(
          fmt::format("the runs ({}) and ({}) do not agree whether a lower '{}' is better. Evaluate them "
                      "again with one version of the program",
                      run_name(*first), run_name(run), printable(score)));
    }
  }
  if (first != nullptr) return first->lower_is_better.at(score);
  throw UserError(
      fmt::format("no evaluation says whether a lower '{}' is better. Evaluate the runs again", printable(score)));
}

// What legitimately differs between the evaluations of one comparison.
bool may_differ(const std::string& path) {
  return path == "generated.train_seed" || path == "generated.step" || path == "generated.checkpoint";
}

std::string entry_text(const Json& object, const std::string& key) {
  if (!object.contains(key)) return "missing";
  return shorten(printable(object[key].dump(-1, ' ', false, Json::error_handler_t::replace)), 80);
}

struct DifferingEntry {
  std::string path;
  std::string first, second;  // the values
};

// The first entry of two objects that differs or that only one of them has; none where they agree.
std::optional<DifferingEntry> differing_entry(const Json& first, const Json& second, const std::string& path = "") {
  Texts keys;
  for (const auto& [key, value] : first.items()) keys.push_back(key);
  for (const auto& [key, value] : second.items()) {
    if (!first.contains(key)) keys.push_back(key);
  }
  for (const std::string& key : keys) {
    const std::string entry = entry_path(path, key);
    if (may_differ(entry)) continue;
    if (first.contains(key) && second.contains(key)) {
      if (first[key] == second[key]) continue;
      if (first[key].is_object() && second[key].is_object()) {
        if (auto differing = differing_entry(first[key], second[key], entry)) return differing;
        continue;
      }
    }
    return DifferingEntry{printable(entry), entry_text(first, key), entry_text(second, key)};
  }
  return std::nullopt;
}

void check_protocols(const std::vector<RunResult>& results) {
  const auto has_protocol = [](const RunResult& run) { return run.protocol.is_object(); };
  const auto first = std::ranges::find_if(results, has_protocol);
  if (first == results.end()) return;
  for (auto run = first + 1; run != results.end(); ++run) {
    if (!has_protocol(*run)) continue;
    const auto entry = differing_entry(first->protocol, run->protocol);
    if (!entry) continue;
    throw UserError(fmt::format(
        "the runs are scored by different protocols, so that their scores cannot be compared: {} is {} in ({}) and {} "
        "in "
        "({}). Run `spectral-gan evaluate` on both with the same settings, or leave one out of the comparison",
        entry->path, entry->first, run_name(*first), entry->second, run_name(*run)));
  }
}

// The one protocol of all, what may differ as a list of the values there are. Runs that are done count, if there are
// any.
Json merged_protocol(const std::vector<RunResult>& results) {
  const bool any_done = std::ranges::any_of(results, [](const RunResult& run) { return run.is_done(); });
  std::vector<const Json*> protocols;
  for (const RunResult& run : results) {
    if (run.protocol.is_object() && (run.is_done() || !any_done)) protocols.push_back(&run.protocol);
  }
  if (protocols.empty()) return nullptr;
  Json merged = *protocols.front();
  if (!merged.contains("generated") || !merged["generated"].is_object()) return merged;
  for (const auto& [key, value] : merged["generated"].items()) {
    if (!may_differ("generated." + key)) continue;
    Json values = Json::array();
    for (const Json* protocol : protocols) {
      const Json& other = protocol->at("generated");
      if (other.contains(key) && std::ranges::find(values, other[key]) == values.end()) values.push_back(other[key]);
    }
    if (values.size() > 1) value = values;
  }
  return merged;
}

// Why the run does not count as it should, with its seed.
std::string trouble_of(const RunResult& run) {
  const std::string outcome(name_of(run.outcome)), why = printable(run.why);
  if (why.find(outcome) != std::string::npos) return fmt::format("seed {}: {}", run.seed, why);
  return fmt::format("seed {}: {}{}{}", run.seed, outcome, why.empty() ? "" : ": ", why);
}

StrategyInfo info_of(const ResultGrid& grid, size_t strategy, const std::pair<std::string, std::string>& planned) {
  StrategyInfo info;
  info.name = printable(planned.first);
  info.changes = printable(planned.second);
  for (size_t seed = 0; seed < grid.seeds(); ++seed) {
    const RunResult& run = grid.at(strategy, seed);
    switch (run.outcome) {
      case Outcome::finished:
        ++info.finished;
        break;
      case Outcome::collapsed:
        ++info.collapsed;
        break;
      case Outcome::diverged:
        ++info.diverged;
        break;
      case Outcome::failed:
        ++info.failed;
        break;
      case Outcome::unfinished:
        ++info.unfinished;
        break;
    }
    if (run.outcome != Outcome::finished && run.outcome != Outcome::unfinished)
      info.troubles.push_back(trouble_of(run));
  }
  return info;
}

std::optional<double> finite_score(const RunResult& run, const std::string& score) {
  if (!run.is_done()) return std::nullopt;
  const auto value = run.final_score(score);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

StrategyScore values_of(const ResultGrid& grid, size_t strategy, const std::string& score) {
  StrategyScore result;
  std::vector<double> known;
  for (size_t seed = 0; seed < grid.seeds(); ++seed) {
    const RunResult& run = grid.at(strategy, seed);
    const auto value = finite_score(run, score);
    result.values.push_back(value);
    if (value) known.push_back(*value);
    const bool unharmed = run.outcome == Outcome::unfinished || (run.outcome == Outcome::finished && value);
    result.failures += unharmed ? 0 : 1;
  }
  if (!known.empty()) result.mean = mean_interval(known);
  return result;
}

// The mean ranks of the strategies, over the seeds at which nothing is waiting or running.
std::optional<std::vector<double>> mean_ranks(const ResultGrid& grid, const ScoreSummary& score) {
  std::vector<double> sums(grid.strategies(), 0);
  int64_t ended = 0;
  for (size_t seed = 0; seed < grid.seeds(); ++seed) {
    std::vector<double> badness;
    bool has_ended = true;
    for (size_t strategy = 0; strategy < grid.strategies(); ++strategy) {
      has_ended = has_ended && grid.at(strategy, seed).outcome != Outcome::unfinished;
      const auto& value = score.strategies[strategy].values[seed];
      badness.push_back(!value ? kInfinity : score.lower_is_better ? *value : -*value);
    }
    if (!has_ended) continue;
    ++ended;
    std::ranges::transform(sums, ranks(badness), sums.begin(), std::plus());
  }
  if (ended == 0) return std::nullopt;
  for (double& sum : sums) sum /= static_cast<double>(ended);
  return sums;
}

std::optional<PairedDifference> difference_of(const StrategyScore& strategy, const StrategyScore& baseline,
                                              int64_t comparisons) {
  std::vector<double> ours, theirs;
  for (size_t seed = 0; seed < strategy.values.size(); ++seed) {
    if (!strategy.values[seed] || !baseline.values[seed]) continue;
    ours.push_back(*strategy.values[seed]);
    theirs.push_back(*baseline.values[seed]);
  }
  if (ours.empty()) return std::nullopt;
  return paired_difference(ours, theirs, comparisons);
}

Verdict verdict_of(const StrategyScore& strategy, const StrategyScore& baseline, bool lower_is_better) {
  if (pairs_of(strategy) < kVerdictPairs) return Verdict::too_few;
  if (!is_significant(strategy)) return Verdict::undecided;
  if (gain(strategy.difference->mean.mean, lower_is_better) > 0) {
    return strategy.failures > baseline.failures ? Verdict::undecided : Verdict::better;
  }
  return baseline.failures > strategy.failures ? Verdict::undecided : Verdict::worse;
}

void compare_with_baseline(ScoreSummary& score, size_t baseline_index) {
  const StrategyScore baseline = score.strategies[baseline_index];
  const auto comparisons = static_cast<int64_t>(score.strategies.size()) - 1;
  std::vector<StrategyScore*> others;
  std::vector<double> p;
  for (size_t i = 0; i < score.strategies.size(); ++i) {
    if (i == baseline_index) continue;
    StrategyScore& strategy = score.strategies[i];
    strategy.difference = difference_of(strategy, baseline, comparisons);
    others.push_back(&strategy);
    p.push_back(strategy.difference ? strategy.difference->p : kNaN);
  }
  // All that are planned count in the family, so that no correction grows milder because a strategy failed throughout.
  const std::vector<double> corrected = holm(p);
  for (size_t i = 0; i < others.size(); ++i) {
    StrategyScore& strategy = *others[i];
    if (strategy.difference) strategy.difference->p_corrected = corrected[i];
    strategy.verdict = verdict_of(strategy, baseline, score.lower_is_better);
    if (strategy.verdict != Verdict::undecided || is_significant(strategy)) continue;
    if (std::isinf(strategy.difference->effect)) continue;
    strategy.seeds_needed = pairs_needed(strategy.difference->effect, kLevel / static_cast<double>(comparisons));
  }
  score.strategies[baseline_index].verdict = Verdict::baseline;
}

ScoreSummary score_of(const ResultGrid& grid, const std::string& name) {
  ScoreSummary score{name, is_lower_better(name, grid.all()), {}};
  for (size_t strategy = 0; strategy < grid.strategies(); ++strategy) {
    score.strategies.push_back(values_of(grid, strategy, name));
  }
  if (const auto mean = mean_ranks(grid, score)) {
    for (size_t i = 0; i < mean->size(); ++i) score.strategies[i].rank = mean->at(i);
  }
  compare_with_baseline(score, grid.baseline());
  return score;
}

// A done run that lacks a score is a trouble like any other.
void add_missing_scores(const ResultGrid& grid, const ScoreSummary& score, std::vector<StrategyInfo>& infos) {
  for (size_t strategy = 0; strategy < grid.strategies(); ++strategy) {
    for (size_t seed = 0; seed < grid.seeds(); ++seed) {
      const RunResult& run = grid.at(strategy, seed);
      if (!run.is_done() || score.strategies[strategy].values[seed]) continue;
      infos[strategy].troubles.push_back(
          fmt::format("seed {}: no finite {} at its last step", run.seed, printable(score.name)));
    }
  }
}

// The step of the first evaluation that is at least as good as the target.
std::optional<int64_t> step_to_target(const RunResult& run, const ScoreSummary& score, double target) {
  for (const auto& [name, points] : run.scores) {
    if (name != score.name) continue;
    for (const ScorePoint& point : points) {
      if (score.lower_is_better ? point.value <= target : point.value >= target) return point.step;
    }
  }
  return std::nullopt;
}

void raise(std::optional<double>& largest, std::optional<int64_t> value) {
  if (value) largest = std::max(largest.value_or(0), static_cast<double>(*value));
}

StrategyCost cost_of(const ResultGrid& grid, size_t strategy, const ScoreSummary& score, double target) {
  StrategyCost cost;
  std::vector<double> times;
  for (size_t seed = 0; seed < grid.seeds(); ++seed) {
    const RunResult& run = grid.at(strategy, seed);
    if (run.ms_per_step && std::isfinite(*run.ms_per_step)) times.push_back(*run.ms_per_step);
    raise(cost.peak_memory_bytes, run.peak_memory_bytes);
    raise(cost.peak_gpu_memory_bytes, run.peak_gpu_memory_bytes);
    const auto step = step_to_target(run, score, target);
    cost.steps_to_target.push_back(step);
    const auto seconds = step ? run.training_seconds(*step) : std::nullopt;
    cost.seconds_to_target.push_back(seconds && std::isfinite(*seconds) ? seconds : std::nullopt);
  }
  if (!times.empty()) cost.ms_per_step = mean_interval(times);
  return cost;
}

// Of the runs that know it; 0 where they do not agree.
int64_t common_steps(const std::vector<RunResult>& results) {
  std::set<int64_t> steps;
  for (const RunResult& run : results) {
    if (run.steps > 0) steps.insert(run.steps);
  }
  return steps.size() == 1 ? *steps.begin() : 0;
}

}  // namespace

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::baseline:
      return "baseline";
    case Verdict::better:
      return "better";
    case Verdict::worse:
      return "worse";
    case Verdict::undecided:
      return "undecided";
    case Verdict::too_few:
      return "too few";
  }
  return "";
}

Summary summarize(const ComparisonPlan& plan, const std::vector<RunResult>& results) {
  const ResultGrid grid(plan, results);
  check_protocols(results);
  Summary summary;
  summary.name = plan.name;
  summary.baseline = plan.baseline;
  summary.seeds = plan.seeds;
  summary.steps = common_steps(results);
  for (size_t i = 0; i < grid.strategies(); ++i) summary.strategies.push_back(info_of(grid, i, plan.strategies[i]));
  for (const std::string& wanted : plan.scores) {
    const std::string name = full_score_name(wanted, score_names(results));
    if (std::ranges::find(summary.scores, name, &ScoreSummary::name) != summary.scores.end()) continue;
    summary.scores.push_back(score_of(grid, name));
    add_missing_scores(grid, summary.scores.back(), summary.strategies);
  }
  const auto& baseline_mean = summary.deciding().strategies[grid.baseline()].mean;
  summary.target = plan.target.value_or(baseline_mean ? baseline_mean->mean : kNaN);
  summary.target_of = plan.target ? "the sweep file" : "the baseline's mean at the last step";
  for (size_t i = 0; i < grid.strategies(); ++i) {
    summary.costs.push_back(cost_of(grid, i, summary.deciding(), summary.target));
  }
  summary.protocol = merged_protocol(results);
  return summary;
}

}  // namespace sgan
