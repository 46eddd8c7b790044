#include "comparison/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include "comparison/config_entries.h"
#include "configs/error.h"
#include "run/atomic_file.h"
#include "run/metrics_log.h"
#include "run/step_name.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr uint64_t kMostBytes = 64 << 20;       // of one JSON file; the largest of the program's own are below 1 MB
constexpr uint64_t kMostConfigBytes = 1 << 20;  // of a config.yaml
constexpr int kMostDepth = 32;                  // of nested JSON: deeper ones would overflow the stack elsewhere
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

UserError damaged(const fs::path& file, const std::string& what) {
  return UserError(
      fmt::format("{}: {}. Restore the file, or remove it and run again what wrote it.", file.string(), what));
}

std::string read_bounded(const fs::path& file, uint64_t most) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  if (!error && size > most) {
    throw damaged(file, fmt::format("it has {} bytes, more than the {} that such a file can have", size, most));
  }
  return read_file(file);
}

Json read_json(const fs::path& file) {
  const auto within_depth = [&](int depth, Json::parse_event_t, const Json&) {
    if (depth > kMostDepth) throw damaged(file, fmt::format("it nests deeper than {} levels", kMostDepth));
    return true;
  };
  Json json = Json::parse(read_bounded(file, kMostBytes), within_depth, /*allow_exceptions=*/false);
  if (!json.is_object()) throw damaged(file, "it is not a JSON object");
  return json;
}

// The value at a key that must be there and of the type that `is` asks for.
template <class Is>
const Json& member(const Json& object, const char* key, Is is, std::string_view type, const fs::path& file) {
  if (!object.is_object() || !object.contains(key)) throw damaged(file, fmt::format("'{}' is missing", key));
  const Json& value = object.at(key);
  if (!is(value)) throw damaged(file, fmt::format("'{}' is not {}, but {}", key, type, value.type_name()));
  return value;
}

const Json& object_at(const Json& json, const char* key, const fs::path& file) {
  return member(
      json, key, [](const Json& value) { return value.is_object(); }, "an object", file);
}

const Json* find_text(const Json& json, const char* key, const fs::path& file) {
  if (!json.contains(key)) return nullptr;
  return &member(
      json, key, [](const Json& value) { return value.is_string(); }, "text", file);
}

std::optional<int64_t> find_count(const Json& json, const char* key, const fs::path& file) {
  if (!json.contains(key) || json.at(key).is_null()) return std::nullopt;
  const auto is_count = [](const Json& value) {
    return value.is_number_unsigned() && value.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()};
  };
  return member(json, key, is_count, "a whole number from 0 up", file).get<int64_t>();
}

// (step, file), by step and name.
std::vector<std::pair<int64_t, fs::path>> step_files(const fs::path& folder, bool with_suffix) {
  std::vector<std::pair<int64_t, fs::path>> files;
  std::error_code missing;
  for (const auto& found : fs::directory_iterator(folder, missing)) {
    const auto name = parse_step_name(found.path().filename().string(), ".json");
    const bool fits = name && (name->rest.empty() || (with_suffix && name->rest.front() == '-'));
    if (fits && found.is_regular_file(missing)) files.emplace_back(name->step, found.path());
  }
  std::ranges::sort(files);
  return files;
}

struct EvaluationFile {
  int64_t step;
  fs::path path;
  Json content;
  Json protocol;  // without what belongs to the step
};

std::vector<EvaluationFile> read_evaluation_files(const fs::path& folder) {
  std::vector<EvaluationFile> files;
  for (const auto& [step, path] : step_files(folder / "evaluation", /*with_suffix=*/true)) {
    EvaluationFile file{step, path, read_json(path), {}};
    file.protocol = object_at(file.content, "protocol", path);
    if (file.protocol.contains("generated") && file.protocol["generated"].is_object()) {
      for (const char* key : {"step", "checkpoint"}) file.protocol["generated"].erase(key);
    }
    files.push_back(std::move(file));
  }
  return files;
}

// The protocol that Evaluations keeps; files must not be empty.
Json kept_protocol(const std::vector<EvaluationFile>& files) {
  const auto uses = [&](const Json& protocol) {
    return std::ranges::count_if(files, [&](const EvaluationFile& file) { return file.protocol == protocol; });
  };
  const EvaluationFile* kept = nullptr;
  for (const EvaluationFile& file : files) {
    if (file.step != files.back().step) continue;
    if (kept == nullptr || uses(file.protocol) > uses(kept->protocol)) kept = &file;
  }
  return kept->protocol;
}

void add_scores(Evaluations& evaluations, const EvaluationFile& file) {
  for (const auto& [name, score] : object_at(file.content, "scores", file.path).items()) {
    const auto is_value = [](const Json& value) { return value.is_number() || value.is_null(); };
    const Json& value = member(score, "value", is_value, "a number or null", file.path);
    if (!score.contains("better")) continue;
    const auto is_direction = [](const Json& better) { return better == "lower" || better == "higher"; };
    const Json& better = member(score, "better", is_direction, "\"lower\" or \"higher\"", file.path);
    const bool lower = better == "lower";
    if (!evaluations.lower_is_better.try_emplace(name, lower).second && evaluations.lower_is_better[name] != lower) {
      throw damaged(file.path,
                    fmt::format("'{}' is better {} here, but not at an earlier step", name, better.get<std::string>()));
    }
    auto& scores = evaluations.scores;
    auto points = std::ranges::find(scores, name, [](const auto& entry) { return entry.first; });
    if (points == scores.end()) points = scores.insert(scores.end(), {name, {}});
    const ScorePoint point{file.step, value.is_null() ? kNan : value.get<double>()};
    // Two files of one step and protocol hold other scores; where they share one, the later file's counts.
    if (!points->second.empty() && points->second.back().step == file.step) points->second.pop_back();
    points->second.push_back(point);
  }
}

std::optional<std::string> collapse_of(const EvaluationFile& file) {
  if (!file.content.contains("diversity")) return std::nullopt;
  const Json& diversity = object_at(file.content, "diversity", file.path);
  if (!diversity.contains("collapsed")) return std::nullopt;
  const auto is_boolean = [](const Json& value) { return value.is_boolean(); };
  if (!member(diversity, "collapsed", is_boolean, "true or false", file.path).get<bool>()) return std::nullopt;
  const Json* why = find_text(diversity, "why", file.path);
  return why != nullptr ? why->get<std::string>() : "its samples have collapsed";
}

BracketPoint bracket_point(int64_t step, const Json& content, const fs::path& file) {
  const Json& network = object_at(content, "network", file);
  const auto is_number = [](const Json& value) { return value.is_number(); };
  const double lower = member(network, "lower", is_number, "a number", file).get<double>();
  const bool useful = network.value("upper_useful", Json(true)) != Json(false);
  const bool bounded = useful && network.contains("upper") && network.at("upper").is_number();
  return {step, lower, bounded ? network.at("upper").get<double>() : std::numeric_limits<double>::infinity()};
}

void drop_slope_values(Json& bracket) {
  Json& network = bracket["network"];
  if (!network.contains("slopes") || !network["slopes"].is_object()) return;
  for (auto& [name, group] : network["slopes"].items()) {
    if (group.is_object()) group.erase("values");
  }
}

double number_or_nan(const Json& point, std::string_view key) {
  return metric(point, key).value_or(kNan);
}

// How the run ended, from run.json and what `compare` left of a run that died without a word.
void read_outcome(RunResult& result) {
  const fs::path record = result.folder / "run.json", failure = result.folder / "failure.json";
  std::string status;
  if (result.record.is_object()) {
    if (const Json* text = find_text(result.record, "status", record)) status = text->get<std::string>();
  }
  if (status == "finished") {
    result.outcome = Outcome::finished;
  } else if (status == "failed") {
    const Json* kind = find_text(result.record, "failure", record);
    const Json* why = find_text(result.record, "why", record);
    result.outcome = kind != nullptr && *kind == "diverged" ? Outcome::diverged : Outcome::failed;
    result.why = why != nullptr ? why->get<std::string>() : "run.json gives no reason";
  } else if (fs::exists(failure)) {
    const Json json = read_json(failure);
    const Json* why = find_text(json, "why", failure);
    result.outcome = Outcome::failed;
    result.why = why != nullptr ? why->get<std::string>() : "failure.json gives no reason";
  }
}

void read_record(RunResult& result) {
  const fs::path file = result.folder / "run.json";
  if (!fs::exists(file)) return;
  result.record = read_json(file);
  result.step = find_count(result.record, "step", file).value_or(0);
  result.peak_memory_bytes = find_count(result.record, "peak_memory_bytes", file);
  result.peak_gpu_memory_bytes = find_count(result.record, "peak_gpu_memory_bytes", file);
}

void read_config(RunResult& result) {
  const fs::path file = result.folder / "config.yaml";
  if (!fs::exists(file)) return;
  result.config = read_bounded(file, kMostConfigBytes);
  const Entries entries = config_entries(result.config);
  const std::string_view seconds = entry(entries, "train.seconds"), steps = entry(entries, "train.steps");
  const bool budget_of_seconds = !seconds.empty() && seconds != "0";
  if (!budget_of_seconds) std::from_chars(steps.data(), steps.data() + steps.size(), result.steps);
}

void read_log(RunResult& result) {
  const fs::path file = result.folder / "metrics.jsonl";
  if (!fs::exists(file)) return;
  result.metrics = read_metrics(file);
  result.ms_per_step = median_ms_per_step(result.metrics);
  if (result.metrics.empty()) return;
  const double step = number_or_nan(result.metrics.back(), "step");
  if (step >= 0 && step < 1e15) result.step = std::max(result.step, static_cast<int64_t>(step));
}

}  // namespace

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::finished:
      return "finished";
    case Outcome::collapsed:
      return "collapsed";
    case Outcome::diverged:
      return "diverged";
    case Outcome::failed:
      return "failed";
    case Outcome::unfinished:
      break;
  }
  return "unfinished";
}

std::optional<double> metric(const Json& point, std::string_view key) {
  const Json* value = &point;
  while (true) {
    const std::string_view part = key.substr(0, key.find('.'));
    if (!value->is_object()) return std::nullopt;
    const auto found = value->find(part);
    if (found == value->end()) return std::nullopt;
    value = &*found;
    if (part.size() == key.size()) break;
    key.remove_prefix(part.size() + 1);
  }
  if (value->is_number()) return value->get<double>();
  return value->is_null() ? std::optional(kNan) : std::nullopt;
}

std::optional<double> median_ms_per_step(const std::vector<Json>& metrics) {
  std::vector<double> times;
  for (size_t i = 1; i < metrics.size(); ++i) {
    const double time = number_or_nan(metrics[i], "ms_per_step");
    if (std::isfinite(time)) times.push_back(time);
  }
  if (times.empty()) return std::nullopt;
  std::ranges::sort(times);
  const size_t half = times.size() / 2;
  return times.size() % 2 == 1 ? times[half] : (times[half - 1] + times[half]) / 2;
}

std::vector<std::pair<int64_t, double>> training_seconds(const std::vector<Json>& metrics) {
  std::vector<std::pair<int64_t, double>> timeline;
  double before = 0, seconds = 0;
  for (const Json& point : metrics) {
    const double step = number_or_nan(point, "step");
    // Runs before train_s was recorded have the mean time of a step since the previous point.
    const auto recorded = metric(point, "train_s");
    seconds = recorded ? *recorded : seconds + (step - before) * number_or_nan(point, "ms_per_step") / 1000;
    if (!(step > before && step < 1e15) || !std::isfinite(seconds)) break;
    timeline.emplace_back(static_cast<int64_t>(step), seconds);
    before = step;
  }
  return timeline;
}

std::optional<double> seconds_at(const std::vector<std::pair<int64_t, double>>& timeline, int64_t step) {
  if (step == 0) return 0.0;
  const auto after = std::ranges::lower_bound(timeline, step, {}, &std::pair<int64_t, double>::first);
  if (step < 0 || after == timeline.end()) return std::nullopt;
  const auto [step_before, seconds_before] = after == timeline.begin() ? std::pair<int64_t, double>{0, 0} : after[-1];
  const double part = static_cast<double>(step - step_before) / static_cast<double>(after->first - step_before);
  return seconds_before + part * (after->second - seconds_before);
}

std::optional<double> RunResult::training_seconds(int64_t at) const {
  return seconds_at(sgan::training_seconds(metrics), at);
}

std::optional<double> RunResult::final_score(const std::string& score) const {
  if (!is_done()) return std::nullopt;
  for (const auto& [name, points] : scores) {
    if (name == score && !points.empty() && points.back().step == step) return points.back().value;
  }
  return std::nullopt;
}

Evaluations read_evaluations(const fs::path& folder) {
  Evaluations evaluations;
  const auto files = read_evaluation_files(folder);
  if (files.empty()) return evaluations;
  const Json protocol = kept_protocol(files);
  for (const EvaluationFile& file : files) {
    if (file.protocol != protocol) continue;
    add_scores(evaluations, file);
    if (file.step > evaluations.step || evaluations.protocol.is_null()) evaluations.collapse.reset();
    if (const auto why = collapse_of(file)) evaluations.collapse = why;
    evaluations.protocol = file.content.at("protocol");
    evaluations.step = file.step;
  }
  return evaluations;
}

Brackets read_brackets(const fs::path& folder) {
  Brackets brackets;
  for (const auto& [step, path] : step_files(folder / "lipschitz", /*with_suffix=*/false)) {
    brackets.last = read_json(path);
    brackets.points.push_back(bracket_point(step, brackets.last, path));
  }
  if (!brackets.points.empty()) drop_slope_values(brackets.last);
  return brackets;
}

RunResult read_result(const fs::path& folder, const std::string& strategy, int64_t seed) {
  RunResult result;
  result.strategy = strategy;
  result.seed = seed;
  result.folder = folder;
  read_record(result);
  read_outcome(result);
  read_config(result);
  read_log(result);
  Evaluations evaluations = read_evaluations(folder);
  if (result.outcome == Outcome::finished && evaluations.collapse && evaluations.step == result.step) {
    result.outcome = Outcome::collapsed;
    result.why = *evaluations.collapse;
  }
  result.scores = std::move(evaluations.scores);
  result.lower_is_better = std::move(evaluations.lower_is_better);
  result.protocol = std::move(evaluations.protocol);
  Brackets brackets = read_brackets(folder);
  result.brackets = std::move(brackets.points);
  result.last_bracket = std::move(brackets.last);
  return result;
}

}  // namespace sgan
