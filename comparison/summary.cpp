#include "comparison/summary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/error.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;
using Texts = std::vector<std::string>;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::string_view kNone = "–";  // a cell without a value

// ---- Text and numbers

// Valid UTF-8 without control characters, for terminals and files: names and reasons come from files.
std::string printable(std::string_view text) {
  const std::string valid = Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
  std::string clean;
  for (size_t i = 0; i < valid.size(); ++i) {
    const auto byte = static_cast<unsigned char>(valid[i]);
    const bool is_c1 = byte == 0xC2 && static_cast<unsigned char>(valid[i + 1]) < 0xA0;
    if (byte >= 0x20 && byte != 0x7F && !is_c1) {
      clean += valid[i];
    } else {
      clean += "\uFFFD";
      i += is_c1 ? 1 : 0;
    }
  }
  return clean;
}

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char byte) { return (byte & 0xC0) != 0x80; }));
}

std::string shortened(const std::string& text, size_t width) {
  if (characters(text) <= width) return text;
  size_t end = 0;
  for (size_t count = 0; count < width; ++end) {
    if ((text[end] & 0xC0) != 0x80) ++count;
  }
  return text.substr(0, end - 1) + "…";
}

// To three significant digits, as the report's pages write it: 0.0123, 1.00, 84512, 3.40×10⁸, −2.50.
std::string number(double value) {
  if (std::isnan(value)) return std::string(kNone);
  const std::string sign = value < 0 ? "−" : "";
  if (std::isinf(value)) return sign + "∞";
  if (value == 0) return "0";
  // Rounding first: 9.996 has the exponent of 10.0.
  const std::string scientific = fmt::format("{:.2e}", std::abs(value));
  const int exponent = std::stoi(scientific.substr(scientific.find('e') + 1));
  if (exponent >= -3 && exponent <= 5) return sign + fmt::format("{:.{}f}", std::abs(value), std::max(0, 2 - exponent));
  constexpr std::array<std::string_view, 10> kDigits = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string power = exponent < 0 ? "10⁻" : "10";
  for (const char digit : std::to_string(std::abs(exponent))) power += kDigits[static_cast<size_t>(digit - '0')];
  return sign + scientific.substr(0, scientific.find('e')) + "×" + power;
}

// "= 0.0123", "< 0.001".
std::string relation_of_p(double p) {
  return p < 0.001 ? "< 0.001" : "= " + number(p);
}

std::string cell_of_p(double p) {
  return p < 0.001 ? "< 0.001" : number(p);
}

// "72.5 [68.1, 76.9]".
std::string with_interval(const Interval& interval) {
  if (std::isnan(interval.low)) return number(interval.mean);
  return fmt::format("{} [{}, {}]", number(interval.mean), number(interval.low), number(interval.high));
}

std::string bytes(double value) {
  const double mebibytes = value / (1024.0 * 1024.0);
  return mebibytes < 10240 ? number(mebibytes) + " MiB" : number(mebibytes / 1024) + " GiB";
}

std::string plural(int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

// "spectral", "spectral and gp", "spectral, clip and gp".
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

// ---- From results to a summary

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

// The full name that a plan's "fd" means.
std::string full_name(const std::string& wanted, const std::vector<RunResult>& results) {
  Texts names, matches;
  for (const RunResult& run : results) {
    for (const auto& [name, points] : run.scores) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
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

std::string joined(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

std::string entry_text(const Json& object, const std::string& key) {
  if (!object.contains(key)) return "missing";
  return shortened(printable(object[key].dump(-1, ' ', false, Json::error_handler_t::replace)), 80);
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
    const std::string entry = joined(path, key);
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

int64_t pairs_of(const StrategyScore& strategy) {
  return strategy.difference ? strategy.difference->mean.n : 0;
}

bool is_significant(const StrategyScore& strategy) {
  return strategy.difference && strategy.difference->p_corrected <= kLevel;
}

// A difference as a gain over the baseline: positive where the strategy is better.
double gain(double difference, bool lower_is_better) {
  return lower_is_better ? -difference : difference;
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

// ---- What tables and sentences have in common

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

// "2 of 3 finished (1 diverged)"; "3 of 3" where nothing is wrong.
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

// The strategies with the best mean among those that had the fewest failures.
std::set<size_t> best_of(const ScoreSummary& score) {
  std::set<size_t> best;
  double most = -kInfinity;
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

// The median over the seeds that met the target, and how many did: "12.3 s (2 of 3)".
std::string time_to_target(const StrategyCost& cost) {
  const int64_t reached = reached_target(cost);
  if (reached == 0) return "never";
  const auto seconds = median(cost.seconds_to_target);
  return fmt::format("{} ({} of {})", seconds ? number(*seconds) + " s" : std::string(kNone), reached,
                     cost.steps_to_target.size());
}

std::string bytes_cell(const std::optional<double>& value) {
  return value ? bytes(*value) : std::string(kNone);
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

// "features.network: digits-classifier; real.split: train; …"; hashes to eight digits.
void add_entries(const Json& value, const std::string& path, Texts& entries) {
  if (value.is_object()) {
    for (const auto& [key, child] : value.items()) add_entries(child, joined(path, key), entries);
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

// What a reader of a table must know to read it.
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

// ---- Sentences

// What a sentence about a strategy beside the baseline needs.
struct Comparison {
  const Summary& summary;
  const ScoreSummary& score;
  const StrategyScore& strategy;
  const StrategyInfo& info;
  std::string baseline;

  double gained() const { return gain(strategy.difference->mean.mean, score.lower_is_better); }
  std::string direction() const { return gained() > 0 ? "better" : "worse"; }
  std::string amount() const { return number(std::abs(gained())); }
};

// "(95 % interval 12.3 to 50.1; p = 0.0123 after Holm's correction; d_z = 4.10; 3 seeds)", of the amount by which it is
// better or, if it is, worse.
std::string evidence(const Comparison& comparison) {
  const PairedDifference& difference = *comparison.strategy.difference;
  const std::string p = relation_of_p(difference.p_corrected), seeds = plural(difference.mean.n, "seed");
  if (std::isinf(difference.effect)) {
    return fmt::format("(the same at each of {}; p {} by the sign-flip test after Holm's correction)", seeds, p);
  }
  const bool mirrored = difference.mean.mean < 0;
  const double low = mirrored ? -difference.mean.high : difference.mean.low;
  const double high = mirrored ? -difference.mean.low : difference.mean.high;
  return fmt::format("(95 % interval {} to {}; p {} after Holm's correction; d_z = {}; {})", number(low), number(high),
                     p, number(std::abs(difference.effect)), seeds);
}

std::string needed_sentence(const Comparison& comparison) {
  const PairedDifference& difference = *comparison.strategy.difference;
  const int64_t comparisons = comparisons_of(comparison.summary);
  if (difference.effect == 0) return "";
  if (std::isinf(difference.effect)) {
    int64_t pairs = difference.mean.n;
    while (pairs < kSignFlipPairs && !sign_flip_can_reject(pairs, comparisons)) ++pairs;
    return fmt::format(
        " Without any noise among them the t test does not apply, and the sign-flip test needs {} seeds.", pairs);
  }
  const auto needed = comparison.strategy.seeds_needed;
  return fmt::format(
      " At the difference seen, {} seeds would be needed (80 % power at level {}): a rough figure, as it "
      "rests on an effect estimated from {}.",
      needed ? fmt::format("about {}", *needed) : std::string("more than 1,000"),
      number(kLevel / static_cast<double>(comparisons)), plural(difference.mean.n, "seed"));
}

std::string too_few_sentence(const Comparison& comparison) {
  const int64_t pairs = pairs_of(comparison.strategy);
  const std::string so_far =
      pairs == 0 || comparison.gained() == 0
          ? ""
          : fmt::format("; so far it is {} by {} on average", comparison.direction(), comparison.amount());
  return fmt::format("No verdict on {} in {}: it and {} both finished at {}, and {} are the least{}.",
                     comparison.info.name, printable(comparison.score.name), comparison.baseline, plural(pairs, "seed"),
                     kVerdictPairs, so_far);
}

// Where the better one of the two failed more often.
std::string survivors_sentence(const Comparison& comparison) {
  const std::string &name = comparison.info.name, &baseline = comparison.baseline;
  const int64_t ours = comparison.strategy.failures;
  const int64_t theirs = comparison.score.strategies[baseline_of(comparison.summary)].failures;
  const bool is_ours = comparison.gained() > 0;
  return fmt::format(
      "No verdict on {}: where both finished it is {} than {} by {} in {} {}, but {} failed more often, in {} of "
      "{} beside {} (diverged, failed, collapsed or without this score).",
      name, comparison.direction(), baseline, comparison.amount(), printable(comparison.score.name),
      evidence(comparison), is_ours ? name : baseline, is_ours ? ours : theirs, plural(comparison.info.runs(), "run"),
      is_ours ? theirs : ours);
}

std::string undecided_sentence(const Comparison& comparison) {
  if (is_significant(comparison.strategy)) return survivors_sentence(comparison);
  const std::string opening =
      fmt::format("{} cannot tell {} from {} in {}", plural(pairs_of(comparison.strategy), "seed"),
                  comparison.info.name, comparison.baseline, printable(comparison.score.name));
  if (comparison.gained() == 0) return opening + ": on average they are equal.";
  return fmt::format("{}: {} is {} by {} on average {}.{}", opening, comparison.info.name, comparison.direction(),
                     comparison.amount(), evidence(comparison), needed_sentence(comparison));
}

std::string verdict_sentence(const Comparison& comparison) {
  switch (comparison.strategy.verdict) {
    case Verdict::too_few:
      return too_few_sentence(comparison);
    case Verdict::undecided:
      return undecided_sentence(comparison);
    default:
      return fmt::format("{} is {} than {} by {} in {} {}.", comparison.info.name, comparison.direction(),
                         comparison.baseline, comparison.amount(), printable(comparison.score.name),
                         evidence(comparison));
  }
}

// What a score that does not decide says, in one sentence.
std::string descriptive_sentence(const Summary& summary, const ScoreSummary& score) {
  Texts better, worse;
  for (size_t i = 0; i < score.strategies.size(); ++i) {
    if (score.strategies[i].verdict == Verdict::better) better.push_back(summary.strategies[i].name);
    if (score.strategies[i].verdict == Verdict::worse) worse.push_back(summary.strategies[i].name);
  }
  const std::string name = printable(score.name), baseline = printable(summary.baseline);
  if (better.empty() && worse.empty()) {
    return fmt::format("By {} ({}), the seeds tell no strategy from {}.", name, direction(score), baseline);
  }
  Texts parts;
  if (!better.empty()) parts.push_back(fmt::format("{} {} better", listed(better), better.size() == 1 ? "is" : "are"));
  if (!worse.empty()) parts.push_back(fmt::format("{} {} worse", listed(worse), worse.size() == 1 ? "is" : "are"));
  const bool all = better.size() + worse.size() == score.strategies.size() - 1;
  return fmt::format("By {} ({}), {} than {}{}.", name, direction(score), listed(parts), baseline,
                     all ? "" : "; the rest is undecided");
}

Texts caveats(const Summary& summary) {
  Texts sentences;
  int64_t unfinished = 0, runs = 0;
  for (const StrategyInfo& info : summary.strategies) {
    unfinished += info.unfinished;
    runs += info.runs();
    if (all_finished(info)) continue;
    if (info.finished + info.unfinished == info.runs()) continue;
    sentences.push_back(fmt::format("{}: {}.", info.name, runs_of(info)));
  }
  if (unfinished > 0) {
    sentences.push_back(
        fmt::format("Not finished: {} of {} runs. All of this is provisional; stopping at the first verdict that "
                    "pleases finds differences that are not there.",
                    unfinished, runs));
  }
  return sentences;
}

// ---- Tables

struct Table {
  Texts header;
  std::vector<Texts> rows;
  std::set<std::pair<size_t, size_t>> bold = {};  // row and column
};

constexpr size_t kMeanColumn = 2;     // of the deciding table
constexpr size_t kVerdictColumn = 5;  // likewise

std::string interval_cell(const std::optional<Interval>& interval) {
  return interval ? with_interval(*interval) : std::string(kNone);
}

// The deciding score, one row a strategy.
Table deciding_table(const Summary& summary) {
  const ScoreSummary& score = summary.deciding();
  Table table{{"strategy", "runs", "mean [95 %]", fmt::format("minus {} [95 %]", printable(summary.baseline)),
               "p (Holm)", "verdict", "d_z", "rank"},
              {}};
  for (size_t i = 0; i < score.strategies.size(); ++i) {
    const StrategyScore& strategy = score.strategies[i];
    const auto& difference = strategy.difference;
    table.rows.push_back({summary.strategies[i].name, runs_of(summary.strategies[i]), interval_cell(strategy.mean),
                          difference ? with_interval(difference->mean) : std::string(kNone),
                          difference ? cell_of_p(difference->p_corrected) : std::string(kNone),
                          std::string(name_of(strategy.verdict)),
                          difference ? number(difference->effect) : std::string(kNone),
                          strategy.rank ? number(*strategy.rank) : std::string(kNone)});
  }
  for (const size_t i : best_of(score)) table.bold.emplace(i, kMeanColumn);
  return table;
}

Table cost_table(const Summary& summary) {
  const bool has_memory = any_cost(summary, &StrategyCost::peak_memory_bytes);
  const bool has_gpu = any_cost(summary, &StrategyCost::peak_gpu_memory_bytes);
  const bool has_target = std::isfinite(summary.target);
  Table table{{"strategy", "ms/step [95 %]"}, {}};
  if (has_memory) table.header.emplace_back("memory");
  if (has_gpu) table.header.emplace_back("GPU memory");
  if (has_target) table.header.push_back("time to " + target_text(summary));
  for (size_t i = 0; i < summary.costs.size(); ++i) {
    const StrategyCost& cost = summary.costs[i];
    Texts row{summary.strategies[i].name, interval_cell(cost.ms_per_step)};
    if (has_memory) row.push_back(bytes_cell(cost.peak_memory_bytes));
    if (has_gpu) row.push_back(bytes_cell(cost.peak_gpu_memory_bytes));
    if (has_target) row.push_back(time_to_target(cost));
    table.rows.push_back(std::move(row));
  }
  return table;
}

// The scores that do not decide, a column each.
Table descriptive_table(const Summary& summary) {
  Table table{{"strategy"}, {}};
  for (const StrategyInfo& info : summary.strategies) table.rows.push_back({info.name});
  for (size_t k = 1; k < summary.scores.size(); ++k) {
    const ScoreSummary& score = summary.scores[k];
    table.header.push_back(printable(score.name) + (score.lower_is_better ? " ↓" : " ↑"));
    for (size_t i = 0; i < table.rows.size(); ++i) table.rows[i].push_back(interval_cell(score.strategies[i].mean));
    for (const size_t i : best_of(score)) table.bold.emplace(i, k);
  }
  return table;
}

std::string heading(const Summary& summary) {
  return fmt::format("{}: {} strategies × {}{}, baseline {}", printable(summary.name), summary.strategies.size(),
                     plural(static_cast<int64_t>(summary.seeds.size()), "seed"),
                     summary.steps > 0 ? fmt::format(", {} a run", plural(summary.steps, "step")) : "",
                     printable(summary.baseline));
}

// ---- Plain text

constexpr size_t kTerminalColumns = 100;
constexpr size_t kWidestName = 26;  // of the first column
constexpr size_t kWidestCell = kTerminalColumns - kWidestName - 2;

std::string padded(const std::string& text, size_t width, bool to_the_left) {
  const std::string space(width - std::min(width, characters(text)), ' ');
  return to_the_left ? text + space : space + text;
}

// Columns `begin` to `end` of a table beside its first one.
std::string text_block(const Table& table, const std::vector<size_t>& widths, size_t begin, size_t end) {
  const auto line = [&](const Texts& cells) {
    std::string text = padded(shortened(cells[0], widths[0]), widths[0], true);
    for (size_t i = begin; i < end; ++i) text += "  " + padded(shortened(cells[i], widths[i]), widths[i], false);
    return text + "\n";
  };
  std::string text = line(table.header);
  for (const Texts& row : table.rows) text += line(row);
  return text;
}

// As many blocks of columns, one below the other, as a terminal's width needs.
std::string text_table(const Table& table) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < table.header.size(); ++i) {
    size_t width = characters(table.header[i]);
    for (const Texts& row : table.rows) width = std::max(width, characters(row[i]));
    widths.push_back(std::min(width, i == 0 ? kWidestName : kWidestCell));
  }
  std::string text;
  for (size_t begin = 1; begin < widths.size();) {
    size_t end = begin, used = widths[0];
    while (end < widths.size() && used + 2 + widths[end] <= kTerminalColumns) used += 2 + widths[end++];
    text += (begin > 1 ? "\n" : "") + text_block(table, widths, begin, end);
    begin = end;
  }
  return text;
}

// Broken at spaces; what follows the first line is indented.
std::string wrapped(const std::string& text) {
  std::string result;
  size_t column = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (column > 0 && column + 1 + characters(word) > kTerminalColumns) {
      result += "\n  ";
      column = 2;
    } else if (column > 0) {
      result += ' ';
      ++column;
    }
    result += word;
    column += characters(word);
    begin = end + 1;
  }
  return result + "\n";
}

// ---- Markdown and LaTeX

std::string escape_markdown(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (std::string_view("\\`*_[]<>|&~$#").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string markdown_table(const Table& table) {
  std::string text = "|";
  for (const std::string& cell : table.header) text += fmt::format(" {} |", escape_markdown(cell));
  text += "\n|---|";
  for (size_t column = 1; column < table.header.size(); ++column) text += "---:|";
  for (size_t row = 0; row < table.rows.size(); ++row) {
    text += "\n|";
    for (size_t column = 0; column < table.rows[row].size(); ++column) {
      const std::string_view mark = table.bold.contains({row, column}) ? "**" : "";
      text += fmt::format(" {}{}{} |", mark, escape_markdown(table.rows[row][column]), mark);
    }
  }
  return text + "\n";
}

std::string markdown_list(const Texts& items) {
  std::string text;
  for (const std::string& item : items) text += "- " + escape_markdown(item) + "\n";
  return text;
}

// LaTeX for text that may hold anything; the characters of this file's numbers become mathematics.
std::string escape_latex(std::string_view text) {
  static const std::map<std::string_view, std::string_view> kCommands = {{"\\", "\\textbackslash{}"},
                                                                         {"{", "\\{"},
                                                                         {"}", "\\}"},
                                                                         {"$", "\\$"},
                                                                         {"&", "\\&"},
                                                                         {"#", "\\#"},
                                                                         {"%", "\\%"},
                                                                         {"_", "\\_"},
                                                                         {"^", "\\textasciicircum{}"},
                                                                         {"~", "\\textasciitilde{}"},
                                                                         {"<", "$<$"},
                                                                         {">", "$>$"},
                                                                         {"|", "\\textbar{}"},
                                                                         {"\"", "\\textquotedbl{}"},
                                                                         {"−", "$-$"},
                                                                         {"×", "$\\times$"},
                                                                         {"≤", "$\\le$"},
                                                                         {"≥", "$\\ge$"},
                                                                         {"∞", "$\\infty$"},
                                                                         {"↓", "$\\downarrow$"},
                                                                         {"↑", "$\\uparrow$"},
                                                                         {"–", "--"},
                                                                         {"…", "\\ldots{}"},
                                                                         {"∗", "$^{*}$"},
                                                                         {"†", "$^{\\dagger}$"},
                                                                         {"³", "$^3$"},
                                                                         {"⁰", "$^0$"},
                                                                         {"¹", "$^1$"},
                                                                         {"²", "$^2$"},
                                                                         {"⁴", "$^4$"},
                                                                         {"⁵", "$^5$"},
                                                                         {"⁶", "$^6$"},
                                                                         {"⁷", "$^7$"},
                                                                         {"⁸", "$^8$"},
                                                                         {"⁹", "$^9$"},
                                                                         {"⁻", "$^-$"}};
  std::string escaped;
  for (size_t i = 0; i < text.size();) {
    size_t length = 1;
    while (i + length < text.size() && (text[i + length] & 0xC0) == 0x80) ++length;
    const std::string_view character = text.substr(i, length);
    const auto command = kCommands.find(character);
    escaped += command == kCommands.end() ? character : command->second;
    i += length;
  }
  return escaped;
}

std::string latex_table(const Table& table) {
  std::string text = "\\begin{tabular}{l" + std::string(table.header.size() - 1, 'r') + "}\n\\toprule\n";
  for (size_t column = 0; column < table.header.size(); ++column) {
    text += (column > 0 ? " & " : "") + escape_latex(table.header[column]);
  }
  text += " \\\\\n\\midrule\n";
  for (size_t row = 0; row < table.rows.size(); ++row) {
    for (size_t column = 0; column < table.rows[row].size(); ++column) {
      const std::string cell = escape_latex(table.rows[row][column]);
      text += column > 0 ? " & " : "";
      text += table.bold.contains({row, column}) ? "\\textbf{" + cell + "}" : cell;
    }
    text += " \\\\\n";
  }
  return text + "\\bottomrule\n\\end{tabular}\n";
}

// The deciding score, with marks in place of the verdict.
Table marked_table(const Summary& summary) {
  Table table = deciding_table(summary);
  table.header.erase(table.header.begin() + kVerdictColumn);
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const Verdict verdict = summary.deciding().strategies[i].verdict;
    table.rows[i][kMeanColumn] += verdict == Verdict::better ? "∗" : verdict == Verdict::worse ? "†" : "";
    table.rows[i].erase(table.rows[i].begin() + kVerdictColumn);
  }
  return table;
}

// ---- JSON and CSV

Json json_number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

template <class T>
Json json_optional(const std::optional<T>& value) {
  if (!value) return nullptr;
  if constexpr (std::is_floating_point_v<T>) return json_number(*value);
  return *value;
}

template <class T>
Json json_list(const std::vector<std::optional<T>>& values) {
  Json list = Json::array();
  for (const auto& value : values) list.push_back(json_optional(value));
  return list;
}

Json json_interval(const std::optional<Interval>& interval) {
  if (!interval) return nullptr;
  return {{"mean", json_number(interval->mean)},
          {"low", json_number(interval->low)},
          {"high", json_number(interval->high)},
          {"std", json_number(interval->std)},
          {"n", interval->n},
          {"method", interval->method}};
}

Json json_difference(const std::optional<PairedDifference>& difference) {
  if (!difference) return nullptr;
  Json json = json_interval(difference->mean);
  json["t"] = json_number(difference->t);
  json["p"] = json_number(difference->p);
  json["p_corrected"] = json_number(difference->p_corrected);
  json["d_z"] = json_number(difference->effect);
  json["p_permutation"] = json_optional(difference->p_permutation);
  return json;
}

Json json_strategy(const StrategyInfo& info) {
  return {{"name", info.name},
          {"changes", info.changes},
          {"finished", info.finished},
          {"collapsed", info.collapsed},
          {"diverged", info.diverged},
          {"failed", info.failed},
          {"unfinished", info.unfinished},
          {"troubles", info.troubles}};
}

Json json_score(const Summary& summary, const ScoreSummary& score) {
  Json json{{"name", printable(score.name)}, {"lower_is_better", score.lower_is_better}, {"strategies", Json::array()}};
  for (size_t i = 0; i < score.strategies.size(); ++i) {
    const StrategyScore& strategy = score.strategies[i];
    json["strategies"].push_back({{"strategy", summary.strategies[i].name},
                                  {"values", json_list(strategy.values)},
                                  {"mean", json_interval(strategy.mean)},
                                  {"rank", json_optional(strategy.rank)},
                                  {"failures", strategy.failures},
                                  {"difference", json_difference(strategy.difference)},
                                  {"verdict", name_of(strategy.verdict)},
                                  {"seeds_needed", json_optional(strategy.seeds_needed)}});
  }
  return json;
}

Json json_cost(const StrategyInfo& info, const StrategyCost& cost) {
  return {{"strategy", info.name},
          {"ms_per_step", json_interval(cost.ms_per_step)},
          {"peak_memory_bytes", json_optional(cost.peak_memory_bytes)},
          {"peak_gpu_memory_bytes", json_optional(cost.peak_gpu_memory_bytes)},
          {"seconds_to_target", json_list(cost.seconds_to_target)},
          {"steps_to_target", json_list(cost.steps_to_target)}};
}

// Keys and texts of files may hold what JSON cannot.
Json printable_json(const Json& value) {
  return Json::parse(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

// RFC 4180: quoted where it must be, quotes doubled.
std::string csv_text(std::string_view text) {
  const std::string clean = printable(text);
  if (clean.find_first_of(",\"") == std::string::npos) return clean;
  std::string quoted = "\"";
  for (const char c : clean) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv_number(double value) {
  return std::isnan(value) ? "" : fmt::format("{}", value);  // the shortest text that reads back to the same number
}

template <class T>
std::string csv_optional(const std::optional<T>& value) {
  return value ? csv_number(static_cast<double>(*value)) : "";
}

Texts csv_header(const Summary& summary) {
  Texts header{"comparison",
               "score",
               "lower_is_better",
               "strategy",
               "baseline",
               "runs",
               "finished",
               "collapsed",
               "diverged",
               "failed",
               "unfinished",
               "n",
               "mean",
               "low",
               "high",
               "std",
               "interval",
               "rank",
               "pairs",
               "difference",
               "difference_low",
               "difference_high",
               "difference_std",
               "t",
               "p",
               "p_corrected",
               "p_permutation",
               "d_z",
               "verdict",
               "seeds_needed",
               "ms_per_step",
               "ms_per_step_low",
               "ms_per_step_high",
               "peak_memory_bytes",
               "peak_gpu_memory_bytes",
               "target",
               "reached_target",
               "median_seconds_to_target"};
  for (const int64_t seed : summary.seeds) header.push_back(fmt::format("seed_{}", seed));
  return header;
}

void add_interval(Texts& row, const std::optional<Interval>& interval) {
  if (!interval) {
    row.insert(row.end(), 3, "");
    return;
  }
  for (const double value : {interval->mean, interval->low, interval->high}) row.push_back(csv_number(value));
}

void add_difference(Texts& row, const std::optional<PairedDifference>& difference) {
  if (!difference) {
    row.emplace_back("0");
    row.insert(row.end(), 9, "");
    return;
  }
  const Interval& mean = difference->mean;
  row.push_back(std::to_string(mean.n));
  for (const double value :
       {mean.mean, mean.low, mean.high, mean.std, difference->t, difference->p, difference->p_corrected}) {
    row.push_back(csv_number(value));
  }
  row.push_back(csv_optional(difference->p_permutation));
  row.push_back(csv_number(difference->effect));
}

void add_cost(Texts& row, const Summary& summary, const StrategyCost& cost) {
  add_interval(row, cost.ms_per_step);
  row.push_back(csv_optional(cost.peak_memory_bytes));
  row.push_back(csv_optional(cost.peak_gpu_memory_bytes));
  row.push_back(csv_number(summary.target));
  row.push_back(std::to_string(reached_target(cost)));
  row.push_back(csv_optional(median(cost.seconds_to_target)));
}

Texts csv_row(const Summary& summary, const ScoreSummary& score, size_t index) {
  const StrategyInfo& info = summary.strategies[index];
  const StrategyScore& strategy = score.strategies[index];
  Texts row{summary.name, score.name, score.lower_is_better ? "true" : "false", info.name, summary.baseline};
  for (const int64_t count :
       {info.runs(), info.finished, info.collapsed, info.diverged, info.failed, info.unfinished}) {
    row.push_back(std::to_string(count));
  }
  row.push_back(std::to_string(strategy.mean ? strategy.mean->n : 0));
  add_interval(row, strategy.mean);
  row.push_back(strategy.mean ? csv_number(strategy.mean->std) : "");
  row.emplace_back(strategy.mean ? strategy.mean->method : "");
  row.push_back(csv_optional(strategy.rank));
  add_difference(row, strategy.difference);
  row.emplace_back(name_of(strategy.verdict));
  row.push_back(csv_optional(strategy.seeds_needed));
  add_cost(row, summary, summary.costs[index]);
  for (const auto& value : strategy.values) row.push_back(csv_optional(value));
  return row;
}

std::string csv_line(const Texts& row) {
  Texts cells;
  std::ranges::transform(row, std::back_inserter(cells), csv_text);
  return fmt::format("{}\n", fmt::join(cells, ","));
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
    const std::string name = full_name(wanted, results);
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

Json to_json(const Summary& summary) {
  Json json{{"name", printable(summary.name)},
            {"baseline", printable(summary.baseline)},
            {"seeds", summary.seeds},
            {"steps", summary.steps},
            {"level", kLevel},
            {"strategies", Json::array()},
            {"scores", Json::array()}};
  for (const StrategyInfo& info : summary.strategies) json["strategies"].push_back(json_strategy(info));
  for (const ScoreSummary& score : summary.scores) json["scores"].push_back(json_score(summary, score));
  json["target"] = {
      {"score", printable(summary.deciding().name)}, {"value", json_number(summary.target)}, {"of", summary.target_of}};
  json["conclusions"] = conclusions(summary);
  json["notes"] = notes_of(summary);
  json["protocol"] = printable_json(summary.protocol);
  json["cost"] = Json::array();
  for (size_t i = 0; i < summary.costs.size(); ++i) {
    json["cost"].push_back(json_cost(summary.strategies[i], summary.costs[i]));
  }
  return json;
}

std::string summary_csv(const Summary& summary) {
  std::string text = csv_line(csv_header(summary));
  for (const ScoreSummary& score : summary.scores) {
    for (size_t i = 0; i < score.strategies.size(); ++i) text += csv_line(csv_row(summary, score, i));
  }
  return text;
}

std::string summary_markdown(const Summary& summary) {
  const ScoreSummary& score = summary.deciding();
  std::string text = fmt::format("# {}\n\n{}\n## {} ({})\n\n{}", escape_markdown(heading(summary)),
                                 markdown_list(conclusions(summary)), escape_markdown(printable(score.name)),
                                 direction(score), markdown_table(deciding_table(summary)));
  if (summary.scores.size() > 1) text += "\n## Other scores\n\n" + markdown_table(descriptive_table(summary));
  text += "\n## Cost\n\n" + markdown_table(cost_table(summary));
  if (const Texts troubles = troubles_of(summary); !troubles.empty()) {
    text += "\n## Troubles\n\n" + markdown_list(troubles);
  }
  Texts notes = notes_of(summary);
  notes.emplace_back("Bold: the best mean among the strategies with the fewest failures.");
  if (!summary.protocol.is_null()) notes.push_back("Protocol: " + protocol_line(summary));
  return text + "\n## Notes\n\n" + markdown_list(notes);
}

std::string summary_latex(const Summary& summary) {
  Texts notes = notes_of(summary);
  notes.push_back(
      fmt::format("Bold: the best mean among the strategies with the fewest failures; ∗ better, † worse than {} "
                  "with a corrected p ≤ 0.05.",
                  printable(summary.baseline)));
  if (!summary.protocol.is_null()) notes.push_back("Protocol: " + protocol_line(summary) + ".");
  std::string text = "% \\usepackage{booktabs}\n\\begin{table}\n\\centering\\footnotesize\n";
  text += fmt::format("\\caption{{{} ({}; {}).}}\n", escape_latex(heading(summary)),
                      escape_latex(printable(summary.deciding().name)), direction(summary.deciding()));
  text += latex_table(marked_table(summary));
  if (summary.scores.size() > 1) text += "\n\\medskip\n\n" + latex_table(descriptive_table(summary));
  text += "\n\\medskip\n\n" + latex_table(cost_table(summary));
  text += fmt::format("\n\\medskip\n\n\\raggedright {}\n\\end{{table}}\n",
                      escape_latex(fmt::format("{}", fmt::join(notes, " "))));
  return text;
}

std::string summary_text(const Summary& summary) {
  const ScoreSummary& score = summary.deciding();
  std::string text = wrapped(heading(summary)) + "\n" +
                     wrapped(fmt::format("{} ({}) at the last step", printable(score.name), direction(score))) +
                     text_table(deciding_table(summary));
  if (summary.scores.size() > 1) text += "\n" + text_table(descriptive_table(summary));
  text += "\n" + text_table(cost_table(summary)) + "\n";
  for (const std::string& sentence : conclusions(summary)) text += wrapped(sentence);
  for (const std::string& trouble : troubles_of(summary)) text += wrapped(trouble);
  return text;
}

std::vector<std::string> conclusions(const Summary& summary) {
  const ScoreSummary& score = summary.deciding();
  Texts sentences;
  for (size_t i = 0; i < score.strategies.size(); ++i) {
    if (score.strategies[i].verdict == Verdict::baseline) continue;
    sentences.push_back(
        verdict_sentence({summary, score, score.strategies[i], summary.strategies[i], printable(summary.baseline)}));
  }
  for (std::string& caveat : caveats(summary)) sentences.push_back(std::move(caveat));
  for (size_t k = 1; k < summary.scores.size(); ++k) {
    sentences.push_back(descriptive_sentence(summary, summary.scores[k]));
  }
  if (summary.scores.size() > 1) {
    sentences.push_back(
        fmt::format("Only {} decides; the other scores are descriptive, as their p are corrected over "
                    "the strategies but not over the scores.",
                    printable(score.name)));
  }
  return sentences;
}

}  // namespace sgan
