#include "report/run_summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include <fmt/format.h>

#include "run/atomic_file.h"
#include "run/metrics_log.h"
#include "run/run_folder.h"

namespace sgan {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

// Strings as they are, everything else as JSON.
std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void flatten(const Json& value, const std::string& path, Entries& entries) {
  if (!value.is_object()) {
    entries.emplace_back(path, text_of(value));
    return;
  }
  for (const auto& [key, child] : value.items()) flatten(child, path.empty() ? key : path + "." + key, entries);
}

// The last log point that recorded `key`.
const Json* last_with(const std::vector<Json>& metrics, std::string_view key) {
  for (auto point = metrics.rbegin(); point != metrics.rend(); ++point) {
    if (point->contains(key)) return &*point;
  }
  return nullptr;
}

void summarize_metrics(RunSummary& run) {
  run.ms_per_step = median_ms_per_step(run.metrics);
  const double step = run.metrics.empty() ? 0 : metric(run.metrics.back(), "step").value_or(0);
  if (step > 0 && step < 1e15)
    run.steps = static_cast<int64_t>(step);  // not NaN, and not beyond what the cast can hold
  if (const Json* point = last_with(run.metrics, "critic_slope")) {
    run.slope_mean = metric(*point, "critic_slope.mean");
    run.slope_max = metric(*point, "critic_slope.max");
  }
  const Json* point = last_with(run.metrics, "sigma_effective");
  if (point == nullptr || point->at("sigma_effective").empty()) return;
  double largest = 0, product = 1;
  for (const Json& layer : point->at("sigma_effective")) {
    const double sigma = layer.is_number() ? layer.get<double>() : std::numeric_limits<double>::quiet_NaN();
    largest = std::isnan(sigma) ? sigma : std::isnan(largest) ? largest : std::max(largest, sigma);
    product *= sigma;
  }
  run.sigma_max = largest;
  run.sigma_product = product;
}

int64_t step_of(const Json& entry, const char* key = "step") {
  return entry.is_object() && entry.contains(key) && entry.at(key).is_number_integer() ? entry.at(key).get<int64_t>()
                                                                                       : 0;
}

std::string text_in(const Json& entry, const char* key) {
  return entry.is_object() && entry.contains(key) ? text_of(entry.at(key)) : std::string();
}

const std::vector<Json>& list_in(const Json& record, const char* key) {
  static const std::vector<Json> kNone;
  return record.contains(key) && record.at(key).is_array() ? record.at(key).get_ref<const Json::array_t&>() : kNone;
}

// From run.json, by step: the watchdog's alarms, rollbacks, overrides, and why the run ended early.
std::vector<std::string> incidents_of(const Json& record) {
  std::vector<std::pair<int64_t, std::string>> found;
  for (const Json& alarm : list_in(record, "alarms")) {
    found.emplace_back(step_of(alarm), fmt::format("step {}, {}: {}", step_of(alarm), text_in(alarm, "trouble"),
                                                   text_in(alarm, "text")));
  }
  for (const Json& rollback : list_in(record, "rollbacks")) {
    found.emplace_back(step_of(rollback),
                       fmt::format("step {}, diverged: rolled back to step {}; from there on learning rates × {}",
                                   step_of(rollback), step_of(rollback, "to"), text_in(rollback, "lr_scale")));
  }
  for (const Json& change : list_in(record, "overrides")) {
    std::string keys;
    for (const Json& key : list_in(change, "keys")) {
      keys += fmt::format("{}{} {} → {}", keys.empty() ? "" : ", ", text_in(key, "key"), text_in(key, "from"),
                          text_in(key, "to"));
    }
    found.emplace_back(step_of(change), fmt::format("step {}: the config was changed: {}", step_of(change), keys));
  }
  if (const std::string why = text_in(record, "why"); !why.empty()) {
    found.emplace_back(step_of(record),
                       fmt::format("step {}, {}: {}", step_of(record), text_in(record, "status"), why));
  }
  std::ranges::stable_sort(found, {}, &std::pair<int64_t, std::string>::first);
  std::vector<std::string> incidents;
  for (auto& [step, text] : found) incidents.push_back(std::move(text));
  return incidents;
}

}  // namespace

Entries flattened(const Json& object) {
  Entries entries;
  flatten(object, "", entries);
  return entries;
}

RunSummary read_run(const fs::path& folder) {
  const RunFolder files = RunFolder::open_read_only(folder);
  Json record = files.read_status();
  const auto text = [&](const char* key) { return record.contains(key) ? text_of(record.at(key)) : std::string(); };

  RunSummary run;
  run.folder = folder;
  run.name = text("name");
  run.strategy = text("strategy");
  run.seed = text("seed");
  run.status = text("status");
  run.incidents = incidents_of(record);
  for (const char* key : {"alarms", "rollbacks", "overrides", "why"}) record.erase(key);
  run.record = flattened(record);
  run.config_text = read_file(files.config_path());
  run.config = config_entries(run.config_text);
  if (fs::exists(files.metrics_path())) run.metrics = read_metrics(files.metrics_path());
  summarize_metrics(run);
  if (fs::exists(files.reals_path())) run.reals = files.reals_path();
  run.grids = find_sample_grids(files.reals_path().parent_path());
  run.evaluations = read_evaluations(folder);
  run.brackets = read_brackets(folder);
  return run;
}

std::vector<std::string> run_labels(const std::vector<RunSummary>& runs) {
  std::vector<std::string> labels;
  for (const RunSummary& run : runs) labels.push_back(run.strategy.empty() ? run.name : run.strategy);
  // Each detail is added only to labels that are still shared.
  const auto add_where_shared = [&](auto detail) {
    std::map<std::string, int> uses;
    for (const std::string& label : labels) ++uses[label];
    for (size_t i = 0; i < runs.size(); ++i) {
      if (uses[labels[i]] > 1) labels[i] += detail(i);
    }
  };
  add_where_shared([&](size_t i) { return ", seed " + runs[i].seed; });
  add_where_shared([&](size_t i) { return ", " + runs[i].name; });
  add_where_shared([&](size_t i) { return fmt::format(" ({})", i + 1); });
  return labels;
}

}  // namespace sgan
