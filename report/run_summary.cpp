#include "report/run_summary.h"

#include <algorithm>
#include <charconv>
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

void flatten(const Json& value, const std::string& path, RunSummary::Entries& entries) {
  if (!value.is_object()) {
    entries.emplace_back(path, text_of(value));
    return;
  }
  for (const auto& [key, child] : value.items()) flatten(child, path.empty() ? key : path + "." + key, entries);
}

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return "";
  text = text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
  const bool quoted = text.size() > 1 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0];
  return std::string(quoted ? text.substr(1, text.size() - 2) : text);
}

RunSummary::Entries flatten_config(std::string_view text) {
  RunSummary::Entries entries;
  std::vector<std::pair<size_t, std::string>> sections;  // indentation and path of those that the line is in
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const size_t indent = line.find_first_not_of(' '), colon = line.find(':');
    if (indent == std::string_view::npos || colon == std::string_view::npos || line[indent] == '#') continue;
    while (!sections.empty() && sections.back().first >= indent) sections.pop_back();
    const std::string key = trimmed(line.substr(0, colon)), value = trimmed(line.substr(colon + 1));
    const std::string path = sections.empty() ? key : sections.back().second + "." + key;
    if (value.empty()) {
      sections.emplace_back(indent, path);
    } else {
      entries.emplace_back(path, value);
    }
  }
  return entries;
}

std::vector<RunSummary::Grid> find_grids(const fs::path& folder) {
  constexpr std::string_view kPrefix = "step-", kSuffix = ".png";
  std::vector<RunSummary::Grid> grids;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    const std::string file = entry.path().filename().string();
    if (!file.starts_with(kPrefix) || !file.ends_with(kSuffix)) continue;
    int64_t step = 0;
    const char* end = file.data() + file.size() - kSuffix.size();
    const auto [rest, error] = std::from_chars(file.data() + kPrefix.size(), end, step);
    if (error == std::errc() && rest == end) grids.push_back({step, entry.path()});
  }
  std::ranges::sort(grids, {}, &RunSummary::Grid::step);
  return grids;
}

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// The last log point that recorded `key`.
const Json* last_with(const std::vector<Json>& metrics, std::string_view key) {
  for (auto point = metrics.rbegin(); point != metrics.rend(); ++point) {
    if (point->contains(key)) return &*point;
  }
  return nullptr;
}

void summarize_metrics(RunSummary& run) {
  std::vector<double> times;
  for (size_t i = 1; i < run.metrics.size(); ++i) {
    const auto time = metric(run.metrics[i], "ms_per_step");
    if (time && std::isfinite(*time)) times.push_back(*time);
  }
  run.ms_per_step = median(times);
  if (!run.metrics.empty()) run.steps = static_cast<int64_t>(metric(run.metrics.back(), "step").value_or(0));
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

}  // namespace

std::string_view RunSummary::config_value(std::string_view key) const {
  const auto entry = std::ranges::find(config, key, [](const auto& pair) { return std::string_view(pair.first); });
  return entry == config.end() ? std::string_view() : std::string_view(entry->second);
}

RunSummary read_run(const fs::path& folder) {
  const RunFolder files = RunFolder::open_read_only(folder);
  const Json record = files.read_status();
  const auto text = [&](const char* key) { return record.contains(key) ? text_of(record.at(key)) : std::string(); };

  RunSummary run;
  run.folder = folder;
  run.name = text("name");
  run.strategy = text("strategy");
  run.seed = text("seed");
  run.status = text("status");
  flatten(record, "", run.record);
  run.config_text = read_file(files.config_path());
  run.config = flatten_config(run.config_text);
  if (fs::exists(files.metrics_path())) run.metrics = read_metrics(files.metrics_path());
  summarize_metrics(run);
  if (fs::exists(files.reals_path())) run.reals = files.reals_path();
  run.grids = find_grids(files.reals_path().parent_path());
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

std::optional<double> metric(const Json& point, std::string_view key) {
  const Json* value = &point;
  for (std::string rest(key); !rest.empty();) {
    const std::string part = rest.substr(0, rest.find('.'));
    rest.erase(0, part.size() + 1);
    if (!value->is_object() || !value->contains(part)) return std::nullopt;
    value = &value->at(part);
  }
  if (value->is_number()) return value->get<double>();
  return value->is_null() ? std::optional(std::numeric_limits<double>::quiet_NaN()) : std::nullopt;
}

}  // namespace sgan
