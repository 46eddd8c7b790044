#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "comparison/results.h"
#include "comparison/statistics.h"

namespace sgan {

// What the seeds say of a strategy's score beside the baseline's. Neither of the two that had more failures than the
// other is ever called the better one: who looks at the runs that survived alone looks at the lucky ones.
enum class Verdict {
  baseline,   // it is the baseline
  better,     // Holm's corrected p ≤ 0.05
  worse,      // likewise
  undecided,  // the seeds show no difference beyond their noise, or failures forbid a verdict
  too_few,    // fewer than three pairs of finished runs
};
std::string_view name_of(Verdict verdict);

// Pairs of finished runs from which a verdict is given.
inline constexpr int64_t kVerdictPairs = 3;

// A score of one strategy over the seeds, at the last step.
struct StrategyScore {
  std::vector<std::optional<double>> values;  // per seed, in the sweep's order; none where the run did not finish
  std::optional<Interval> mean;               // of the values there are; none without any, an interval from two on
  // Mean over the seeds whose runs have all ended, 1 the best; a seed's runs without a score share its last ranks.
  std::optional<double> rank;
  std::optional<PairedDifference> difference;  // to the baseline over the seeds that both finished; of one pair only
                                               // its value is there, the rest NaN
  Verdict verdict = Verdict::too_few;
  // Seeds at which a difference as large as the one seen would be found with 80 % power; none where it is decided, is
  // zero, or would take more than 1,000.
  std::optional<int64_t> seeds_needed;
  int64_t failures = 0;  // runs that diverged, failed or collapsed, or were done without this score as a finite number
};

struct ScoreSummary {
  std::string name;  // "fd_digits_classifier"
  bool lower_is_better = true;
  std::vector<StrategyScore> strategies;  // in the sweep's order
};

// What a strategy costs, over its runs. Times are of the machines and the load that the runs met.
struct StrategyCost {
  std::optional<Interval> ms_per_step;
  std::optional<double> peak_memory_bytes;      // the largest of its runs
  std::optional<double> peak_gpu_memory_bytes;  // likewise
  // Seconds of updates until an evaluation first met the target, per seed; none where it never did.
  std::vector<std::optional<double>> seconds_to_target;
  std::vector<std::optional<int64_t>> steps_to_target;
};

struct StrategyInfo {
  std::string name;
  std::string changes;  // its diff from the base, as YAML in flow style
  int64_t finished = 0, collapsed = 0, diverged = 0, failed = 0, unfinished = 0;
  std::vector<std::string> troubles;  // "seed 2: training has diverged: …"

  int64_t runs() const { return finished + collapsed + diverged + failed + unfinished; }
};

struct Summary {
  std::string name;
  std::string baseline;
  std::vector<int64_t> seeds;
  int64_t steps = 0;                     // of a run, 0 where they differ or a time ends them
  std::vector<StrategyInfo> strategies;  // in the sweep's order
  std::vector<ScoreSummary> scores;      // the first one decides
  double target = 0;                     // of the first score, for the time to it; NaN where there is none
  std::string target_of;                 // "the sweep file" or "the baseline's mean at the last step"
  std::vector<StrategyCost> costs;       // in the sweep's order
  nlohmann::ordered_json protocol;       // of the evaluations; differing values are lists

  const ScoreSummary& deciding() const { return scores.front(); }
};

// What is compared, as summarize needs it.
struct ComparisonPlan {
  std::string name;
  std::string baseline;
  std::vector<std::pair<std::string, std::string>> strategies;  // name and changes
  std::vector<int64_t> seeds;
  std::vector<std::string> scores;  // as the sweep names them: "fd" or a full name; the first decides
  std::optional<double> target;
};

// results: strategies × seeds, strategy by strategy, in the plan's order, else std::invalid_argument. Runs that are not
// done yet are simply not there yet. Errors: UserError where no result has a score that the plan wants or several fit
// its name, or where protocols differ so that scores cannot be compared.
Summary summarize(const ComparisonPlan& plan, const std::vector<RunResult>& results);

// The summary as files have it: null for what is not there or not finite. All but "cost", which holds everything that
// times and memory enter, is the same bytes whenever the same runs are done again on the same kind of machine.
nlohmann::ordered_json to_json(const Summary& summary);
// One row a strategy and score, at full precision, empty for what is not there; lines end in "\n", else RFC 4180.
std::string summary_csv(const Summary& summary);
std::string summary_markdown(const Summary& summary);
std::string summary_latex(const Summary& summary);  // a booktabs table
std::string summary_text(const Summary& summary);   // for a terminal of 100 columns

// In words: "spectral is better than none by 31.2 (95 % interval 12 to 50, p = 0.01 …)"; one sentence a strategy, and
// what the seeds cannot tell. The deciding score comes first. Nothing in it depends on times.
std::vector<std::string> conclusions(const Summary& summary);

}  // namespace sgan
