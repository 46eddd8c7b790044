#include "report/comparison_view.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "report/run_summary.h"
#include "run/format.h"

namespace sgan {

std::vector<StrategyRuns> strategy_runs(const Summary& summary, const std::vector<RunResult>& results) {
  std::vector<StrategyRuns> strategies;
  for (const StrategyInfo& info : summary.strategies) {
    StrategyRuns& strategy = strategies.emplace_back();
    strategy.name = info.name;
    strategy.style = static_cast<int>(strategies.size()) - 1;
    for (const RunResult& run : results) {
      if (run.strategy == info.name) strategy.runs.push_back(&run);
    }
  }
  return strategies;
}

int64_t last_step(const std::vector<RunResult>& results) {
  int64_t last = 1;
  for (const RunResult& run : results) last = std::max({last, run.step, run.steps});
  return last;
}

std::string estimate_text(const Interval& interval) {
  const std::string mean = format_number(interval.mean);
  if (!std::isfinite(interval.low) || !std::isfinite(interval.high)) return mean;
  return fmt::format("{} ({} to {})", mean, format_number(interval.low), format_number(interval.high));
}

std::string protocol_text(const nlohmann::ordered_json& protocol) {
  std::string text, section;
  for (const auto& [key, value] : flattened(protocol)) {
    const bool of_the_run = key == "generated.step" || key == "generated.checkpoint" || key == "generated.train_seed";
    if (of_the_run || key.ends_with("sha256")) continue;
    const size_t dot = key.find('.');
    const std::string in = dot == key.npos ? "" : key.substr(0, dot), name = in.empty() ? key : key.substr(dot + 1);
    if (in != section || text.empty()) {
      text += fmt::format("{}{}{} {}", text.empty() ? "" : "; ", in, in.empty() ? "" : ":", name);
    } else {
      text += ", " + name;
    }
    text += " " + value;
    section = in;
  }
  return text;
}

}  // namespace sgan
