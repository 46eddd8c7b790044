#include "report/dashboard_series.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

namespace sgan {
namespace {

using Json = nlohmann::json;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr uint64_t kChunk = uint64_t{1} << 20;
constexpr size_t kLongestLine = size_t{4} << 20;  // bytes; longer ones are no metrics
constexpr size_t kMostKeys = 2000;                // of one run
constexpr size_t kDeepest = 16;                   // levels of nested keys
constexpr size_t kRemembered = 64;                // bytes before the offset that must be there again
constexpr uint64_t kLongestDocument = uint64_t{8} << 20;

// Calls visit(dotted key, value) for each number and null of a JSON object that is in no array.
template <class Visit>
class NumberReader : public nlohmann::json_sax<Json> {
 public:
  explicit NumberReader(Visit visit) : visit_(std::move(visit)) {}

  bool null() override { return number(kNaN); }
  bool number_integer(number_integer_t value) override { return number(static_cast<double>(value)); }
  bool number_unsigned(number_unsigned_t value) override { return number(static_cast<double>(value)); }
  bool number_float(number_float_t value, const string_t&) override { return number(value); }
  bool boolean(bool) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_array(std::size_t) override {
    ++arrays_;
    return !lengths_.empty();
  }
  bool end_array() override {
    --arrays_;
    return true;
  }
  bool start_object(std::size_t) override {
    lengths_.push_back(path_.size());
    return lengths_.size() <= kDeepest;
  }
  bool end_object() override {
    lengths_.pop_back();
    return true;
  }
  bool key(string_t& name) override {
    path_.resize(lengths_.back());
    if (!path_.empty()) path_ += '.';
    path_ += name;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) override { return false; }

 private:
  bool number(double value) {
    if (lengths_.empty()) return false;
    if (arrays_ == 0) visit_(path_, value);
    return true;
  }

  Visit visit_;
  std::string path_;
  std::vector<size_t> lengths_;  // of the path at each level
  int arrays_ = 0;
};

template <class Visit>
bool visit_numbers(std::string_view line, Visit visit) {
  NumberReader<Visit> reader(visit);
  return Json::sax_parse(line, &reader);
}

double number_or_nan(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) && object.at(key).is_number() ? object.at(key).get<double>() : kNaN;
}

void sort_by_x(Curve& curve) {
  if (std::ranges::is_sorted(curve.x)) return;
  std::vector<std::pair<double, double>> points;
  for (size_t i = 0; i < curve.x.size(); ++i) points.emplace_back(curve.x[i], curve.y[i]);
  std::ranges::stable_sort(points, {}, &std::pair<double, double>::first);
  for (size_t i = 0; i < points.size(); ++i) std::tie(curve.x[i], curve.y[i]) = points[i];
}

// The seconds of the last row that is not later than `step`.
double seconds_at(const MetricsTable& table, double step) {
  const auto& steps = table.steps();
  const auto after = std::ranges::upper_bound(steps, step);
  return after == steps.begin() ? kNaN : table.seconds()[static_cast<size_t>(after - steps.begin() - 1)];
}

void add_point(Curve& curve, double x, double y) {
  if (!std::isfinite(x)) return;
  curve.x.push_back(x);
  curve.y.push_back(std::isfinite(y) ? y : kNaN);
}

// The points at the smallest and largest value of [begin, end), in their order.
void add_extremes(const Curve& curve, size_t begin, size_t end, Curve& kept) {
  std::optional<size_t> lowest, highest;
  for (size_t i = begin; i < end; ++i) {
    if (std::isnan(curve.y[i])) continue;
    if (!lowest || curve.y[i] < curve.y[*lowest]) lowest = i;
    if (!highest || curve.y[i] > curve.y[*highest]) highest = i;
  }
  const size_t first = lowest ? std::min(*lowest, *highest) : begin;
  const size_t second = lowest ? std::max(*lowest, *highest) : begin;
  add_point(kept, curve.x[first], curve.y[first]);
  if (second != first) add_point(kept, curve.x[second], curve.y[second]);
}

}  // namespace

Curve smoothed(const Curve& curve, double weight) {
  Curve result = curve;
  double average = 0, total = 0;
  for (double& value : result.y) {
    if (!std::isfinite(value)) continue;
    average = weight * average + (1 - weight) * value;
    total = weight * total + (1 - weight);
    value = average / total;
  }
  return result;
}

Curve cut(const Curve& curve, double from, double to) {
  if (from > to) return {};
  auto begin = std::ranges::lower_bound(curve.x, from), end = std::ranges::upper_bound(curve.x, to);
  if (begin != curve.x.begin()) --begin;
  if (end != curve.x.end()) ++end;
  const auto first = begin - curve.x.begin(), last = end - curve.x.begin();
  return {{begin, end}, {curve.y.begin() + first, curve.y.begin() + last}};
}

Curve decimated(const Curve& curve, size_t points) {
  const size_t count = curve.x.size();
  if (count <= points) return curve;
  const size_t stretches = std::max<size_t>(1, (std::max<size_t>(points, 4) - 2) / 2);
  Curve kept;
  add_point(kept, curve.x.front(), curve.y.front());
  for (size_t i = 0; i < stretches; ++i) {
    const size_t begin = 1 + (count - 2) * i / stretches, end = 1 + (count - 2) * (i + 1) / stretches;
    if (begin < end) add_extremes(curve, begin, end, kept);
  }
  add_point(kept, curve.x.back(), curve.y.back());
  return kept;
}

void MetricsTable::update(const ContainedFile& file, const std::string& key) {
  wanted_.insert(key);
  const auto column = columns_.find(key);
  const bool is_missing = column != columns_.end() && !column->second.is_kept;
  if (is_missing || !continues(file)) reset();
  inode_ = file.state().inode;
  if (offset_ == 0) keeps_all_ = file.state().size <= keep_all_;
  std::string text;
  bool skips = false;  // the rest of a line that is too long
  for (uint64_t position = offset_;;) {
    const std::string chunk = file.read(position, kChunk);
    if (chunk.empty()) break;
    position += chunk.size();
    text += chunk;
    const size_t end = text.rfind('\n');
    if (end == text.npos) {
      skips = skips || text.size() > kLongestLine;
      if (skips) text.clear();
      continue;
    }
    std::string_view lines = std::string_view(text).substr(0, end + 1);
    if (skips) lines.remove_prefix(lines.find('\n') + 1);
    skips = false;
    read_lines(lines);
    offset_ = position - (text.size() - end - 1);
    text.erase(0, end + 1);
  }
  const uint64_t remembered = std::min<uint64_t>(offset_, kRemembered);
  before_ = file.read(offset_ - remembered, remembered);
  if (keeps_all_ && offset_ > keep_all_) drop_unwanted();
}

void MetricsTable::reset() {
  columns_.clear();
  steps_.clear();
  seconds_.clear();
  rows_ = 0;
  offset_ = 0;
  before_.clear();
}

bool MetricsTable::continues(const ContainedFile& file) const {
  const FileState state = file.state();
  return state.inode == inode_ && state.size >= offset_ &&
         file.read(offset_ - before_.size(), before_.size()) == before_;
}

void MetricsTable::read_lines(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty() || rows_ == std::numeric_limits<uint32_t>::max()) continue;
    steps_.push_back(kNaN);
    seconds_.push_back(kNaN);
    visit_numbers(line, [this](const std::string& key, double value) { add(key, value); });
    // A line that is no object has no step, so it gives no points.
    ++rows_;
  }
}

void MetricsTable::add(const std::string& key, double value) {
  if (key == "step") steps_.back() = value;
  if (key == "wall_s") seconds_.back() = value;
  auto found = columns_.find(key);
  if (found == columns_.end()) {
    if (columns_.size() == kMostKeys) return;
    found = columns_.emplace(key, Column{}).first;
    found->second.is_kept = keeps_all_ || wanted_.contains(key);
  }
  if (!found->second.is_kept) return;
  found->second.rows.push_back(rows_);
  found->second.values.push_back(value);
}

void MetricsTable::drop_unwanted() {
  keeps_all_ = false;
  for (auto& [key, column] : columns_) {
    if (!wanted_.contains(key)) column = {.rows = {}, .values = {}, .is_kept = false};
  }
}

std::vector<std::string> MetricsTable::keys() const {
  std::vector<std::string> names;
  for (const auto& [key, column] : columns_) names.push_back(key);
  return names;
}

const MetricsTable::Column* MetricsTable::column(const std::string& key) const {
  const auto found = columns_.find(key);
  return found == columns_.end() ? nullptr : &found->second;
}

size_t MetricsTable::bytes() const {
  size_t values = 2 * steps_.capacity();
  for (const auto& [key, column] : columns_) values += column.values.capacity() + column.rows.capacity() / 2;
  return values * sizeof(double);
}

CurveReader::Metric CurveReader::read(const std::string& folder, const std::string& metric, Axis axis) {
  const auto entry = run(folder);
  Metric result;
  size_t bytes = 0;
  {
    const std::lock_guard lock(entry->mutex);
    const bool is_score = metric.starts_with("score."), is_bracket = metric.starts_with("lipschitz.");
    update_table(*entry, folder, is_score || is_bracket ? "step" : metric);
    const MetricsTable& table = entry->table;
    const auto x_of = [&](double step) { return axis == Axis::step ? step : seconds_at(table, step); };
    if (is_score) {
      update_scores(*entry, folder);
      const auto metrics_found = score_metrics(*entry);
      const auto scores = metrics_found.find(metric);
      for (size_t i = 0; scores != metrics_found.end() && i < scores->second.size(); ++i) {
        const Score& score = scores->second[i];
        add_point(result.curve, x_of(static_cast<double>(score.step)), score.value);
        result.protocol = score.protocol;
      }
    } else if (is_bracket) {
      update_brackets(*entry, folder);
      for (const auto& [name, file] : entry->brackets) {
        for (const Bracket& bracket : file.values) {
          const double value = metric == "lipschitz.lower" ? bracket.lower : bracket.upper;
          add_point(result.curve, x_of(static_cast<double>(bracket.step)), value);
        }
      }
    } else if (const auto* column = table.column(metric)) {
      const auto& x = axis == Axis::step ? table.steps() : table.seconds();
      for (size_t i = 0; i < column->rows.size(); ++i) add_point(result.curve, x[column->rows[i]], column->values[i]);
    }
    bytes = table.bytes();
  }
  account(entry, bytes);
  sort_by_x(result.curve);
  return result;
}

std::vector<std::string> CurveReader::metrics(const std::string& folder) {
  const auto entry = run(folder);
  std::vector<std::string> names;
  size_t bytes = 0;
  {
    const std::lock_guard lock(entry->mutex);
    update_table(*entry, folder, "step");
    update_scores(*entry, folder);
    update_brackets(*entry, folder);
    for (auto& key : entry->table.keys()) {
      if (key != "step" && key != "wall_s") names.push_back(std::move(key));
    }
    for (const auto& [name, scores] : score_metrics(*entry)) names.push_back(name);
    if (!entry->brackets.empty()) names.insert(names.end(), {"lipschitz.lower", "lipschitz.upper"});
    bytes = entry->table.bytes();
  }
  account(entry, bytes);
  return names;
}

size_t CurveReader::bytes() {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::shared_ptr<CurveReader::Run> CurveReader::run(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(runs_, folder, [](const auto& entry) { return entry.first; });
  if (found == runs_.end()) {
    runs_.emplace_front(folder, std::make_shared<Run>());
  } else {
    runs_.splice(runs_.begin(), runs_, found);
  }
  return runs_.front().second;
}

// Counts what the run holds now, and lets go of those that were used longest ago. The first one stays in any case.
void CurveReader::account(const std::shared_ptr<Run>& run, size_t bytes) {
  const std::lock_guard lock(mutex_);
  const bool is_kept = std::ranges::any_of(runs_, [&](const auto& entry) { return entry.second == run; });
  if (!is_kept) return;
  bytes_ = bytes_ - run->counted_bytes + bytes;
  run->counted_bytes = bytes;
  while (bytes_ > max_bytes_ && runs_.size() > 1) {
    bytes_ -= runs_.back().second->counted_bytes;
    runs_.pop_back();
  }
}

void CurveReader::update_table(Run& run, const std::string& folder, const std::string& key) const {
  if (const auto file = files_.open(joined(folder, "metrics.jsonl"))) {
    run.table.update(*file, key);
  } else {
    run.table = MetricsTable();
  }
}

// Parses the folder's step-*.json files that are new or have changed.
template <class Value, class Parse>
void CurveReader::update_files(std::map<std::string, Parsed<Value>>& parsed, const std::string& folder,
                               Parse parse) const {
  const auto found = step_files(files_, folder, ".json");
  std::vector<std::string> names;
  for (const StepFile& file : found) names.push_back(file.name);
  std::erase_if(parsed, [&](const auto& entry) { return !std::ranges::binary_search(names, entry.first); });
  const auto states = files_.states(folder, names);
  for (size_t i = 0; i < found.size(); ++i) {
    auto& entry = parsed[names[i]];
    if (!states[i] || entry.state == *states[i]) continue;
    entry.state = *states[i];
    entry.values.clear();
    const auto text = files_.read(joined(folder, names[i]), kLongestDocument);
    const Json document = Json::parse(text.value_or(""), nullptr, /*allow_exceptions=*/false);
    if (document.is_object()) parse(found[i], document, entry.values);
  }
}

void CurveReader::update_scores(Run& run, const std::string& folder) const {
  update_files(run.scores, joined(folder, "evaluation"),
               [](const StepFile& file, const Json& document, std::vector<Score>& scores) {
                 const auto found = document.find("scores");
                 if (found == document.end() || !found->is_object()) return;
                 const std::string protocol = file.rest.empty() ? "" : file.rest.substr(1);
                 for (const auto& [name, score] : found->items()) {
                   if (score.is_object() && score.contains("value")) {
                     scores.push_back({name, protocol, file.step, number_or_nan(score, "value")});
                   }
                 }
               });
}

void CurveReader::update_brackets(Run& run, const std::string& folder) const {
  update_files(run.brackets, joined(folder, "lipschitz"),
               [](const StepFile& file, const Json& document, std::vector<Bracket>& brackets) {
                 const auto network = document.find("network");
                 if (network == document.end()) return;
                 brackets.push_back({file.step, number_or_nan(*network, "lower"), number_or_nan(*network, "upper")});
               });
}

// The scores by the metric's name, each by step.
std::map<std::string, std::vector<CurveReader::Score>> CurveReader::score_metrics(const Run& run) {
  std::map<std::string, std::set<std::string>> protocols;
  for (const auto& [file, parsed] : run.scores) {
    for (const Score& score : parsed.values) protocols[score.name].insert(score.protocol);
  }
  std::map<std::string, std::vector<Score>> metrics;
  for (const auto& [file, parsed] : run.scores) {
    for (const Score& score : parsed.values) {
      const bool is_ambiguous = protocols[score.name].size() > 1;
      metrics["score." + score.name + (is_ambiguous ? " (" + score.protocol + ")" : "")].push_back(score);
    }
  }
  return metrics;
}

}  // namespace sgan
