#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "comparison/results.h"
#include "comparison/summary.h"

namespace sgan {

// A strategy with its runs, as the parts of the comparison's page use it.
struct StrategyRuns {
  std::string name;
  int style = 0;                       // of its lines, the same in every figure
  std::vector<const RunResult*> runs;  // in the seeds' order
};

// The strategies in the summary's order.
std::vector<StrategyRuns> strategy_runs(const Summary& summary, const std::vector<RunResult>& results);

// The largest step that any run wants or has reached, at least 1.
int64_t last_step(const std::vector<RunResult>& results);

// "77.1 (65.4 to 88.8)"; without an interval "77.1".
std::string estimate_text(const Interval& interval);

// Prose about the scores' protocol: every entry but hashes and the step.
std::string protocol_text(const nlohmann::ordered_json& protocol);

}  // namespace sgan
