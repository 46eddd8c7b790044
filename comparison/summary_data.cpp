#include "comparison/summary.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "comparison/summary_words.h"
#include "run/format.h"

namespace sgan {

Json json_number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

namespace {

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

}  // namespace sgan
