#include "report/run_index.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "comparison/config_entries.h"
#include "run/format.h"
#include "run/json_text.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDeepest = 8;
constexpr uint64_t kLongestDocument = uint64_t{8} << 20;

// What a run's summary is made of. The folders' times change when a file in them appears.
enum Watched : size_t { kRecord, kConfig, kMetrics, kScores, kSamples, kBrackets, kLog, kReport, kLock };
const std::vector<std::string> kWatched = {"run.json",  "config.yaml", "metrics.jsonl", "evaluation", "samples",
                                           "lipschitz", "log.txt",     "report.html",   "run.lock"};

Json parse_object(const std::optional<std::string>& text) {
  Json document = parse_json_object(text.value_or(""));
  return document.is_object() ? document : Json::object();
}

// Strings and numbers alone: a summary is to stay small whatever the files hold.
void copy_plain(const Json& from, const char* key, Json& to) {
  constexpr size_t kLongest = 500;
  const auto found = from.find(key);
  if (found == from.end()) return;
  if (found->is_number() || found->is_null()) to[key] = *found;
  if (found->is_string()) to[key] = shorten(found->get_ref<const std::string&>(), kLongest);
}

// The score that a list shows: the first Fréchet distance, else the first one.
Json main_score(const Json& scores, int64_t step) {
  const Json* chosen = nullptr;
  std::string name;
  for (const auto& [key, score] : scores.items()) {
    if (!score.is_object() || !score.contains("value")) continue;
    const bool is_better_choice = chosen == nullptr || (key.starts_with("fd_") && !name.starts_with("fd_"));
    if (is_better_choice) chosen = &score, name = key;
  }
  if (chosen == nullptr) return nullptr;
  Json score = {{"name", shorten(name, 100)}, {"step", step}};
  copy_plain(*chosen, "value", score);
  copy_plain(*chosen, "better", score);
  return score;
}

// Device and inode of the files that processes of this system have locked with flock.
std::set<std::pair<uint64_t, uint64_t>> system_locks() {
  std::set<std::pair<uint64_t, uint64_t>> locks;
  std::ifstream stream("/proc/locks");
  for (std::string line; std::getline(stream, line);) {
    // 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
    std::istringstream words(line);
    std::string number, kind, mode, access, process, file;
    words >> number >> kind >> mode >> access >> process >> file;
    unsigned major = 0, minor = 0;
    unsigned long long inode = 0;
    if (kind == "FLOCK" && std::sscanf(file.c_str(), "%x:%x:%llu", &major, &minor, &inode) == 3) {
      locks.emplace(makedev(major, minor), inode);
    }
  }
  return locks;
}

int64_t seconds_since_1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

int64_t last_write(const std::vector<std::optional<FileState>>& states) {
  int64_t latest = 0;
  for (const auto& state : states) latest = std::max(latest, state ? state->modified_ns : 0);
  return latest / 1'000'000'000;
}

}  // namespace

bool RunIndex::scan() {
  ++scans_;
  changed_ = false;
  looked_into_ = 0;
  is_truncated_ = false;
  locks_.reset();
  for (auto& [folder, is_there] : reports_) is_there = false;
  visit("", 0);
  const bool removed = remove_gone();
  return changed_ || removed;
}

void RunIndex::visit(const std::string& folder, int depth) {
  const auto known = runs_.find(folder);
  if (known != runs_.end() && update(folder, known->second)) return;
  if (looked_into_++ == options_.most_folders) is_truncated_ = true;
  if (is_truncated_) return;
  bool has_record = false, has_config = false, has_report = false;
  const auto entries = files_.list(folder);
  for (const auto& entry : entries) {
    has_record |= entry.name == kWatched[kRecord] && !entry.is_folder;
    has_config |= entry.name == kWatched[kConfig] && !entry.is_folder;
    has_report |= entry.name == kWatched[kReport] && !entry.is_folder;
  }
  if (has_record && has_config) {
    const bool has_room = runs_.size() < options_.most_runs;
    if (has_room) update(folder, runs_[folder]);
    is_truncated_ |= !has_room;
    return;
  }
  if (has_report) changed_ |= reports_.emplace(folder, true).second;
  if (has_report) reports_[folder] = true;
  if (depth == kDeepest) return;
  for (const auto& entry : entries) {
    if (entry.is_folder && !entry.name.starts_with('.')) visit(joined(folder, entry.name), depth + 1);
  }
}

// False where the folder is no run (any more).
bool RunIndex::update(const std::string& folder, Run& run) {
  auto states = files_.states(folder, kWatched);
  if (!states[kRecord] || !states[kConfig]) return false;
  run.scan = scans_;
  const bool is_new = run.states.empty();
  const bool is_changed = is_new || states != run.states;
  const auto has_changed = [&](Watched file) { return is_new || states[file] != run.states[file]; };
  if (has_changed(kRecord)) read_record(folder, run);
  if (has_changed(kConfig)) read_config(folder, run);
  if (has_changed(kMetrics)) read_metrics_end(folder, run);
  if (has_changed(kScores)) read_score(folder, run);
  run.states = std::move(states);
  std::string status = status_of(folder, run);
  if (!is_changed && status == run.status) return true;
  run.status = std::move(status);
  publish(folder, run);
  changed_ = true;
  return true;
}

void RunIndex::read_record(const std::string& folder, Run& run) const {
  const Json document = parse_object(files_.read(joined(folder, kWatched[kRecord]), kLongestDocument));
  run.record = Json::object();
  for (const char* key : {"name", "strategy", "seed", "status", "why", "start", "end", "device", "step"}) {
    copy_plain(document, key, run.record);
  }
  const auto alarms = document.find("alarms");
  if (alarms != document.end() && alarms->is_array() && !alarms->empty()) {
    constexpr size_t kMost = 8;
    Json& list = run.record["alarms"] = Json::array();
    for (size_t i = alarms->size() - std::min(alarms->size(), kMost); i < alarms->size(); ++i) {
      if (!alarms->at(i).is_object()) continue;
      Json& alarm = list.emplace_back(Json::object());
      for (const char* key : {"step", "trouble", "text"}) copy_plain(alarms->at(i), key, alarm);
    }
  }
  const auto status = run.record.find("status");
  run.recorded_status = status != run.record.end() && status->is_string() ? status->get<std::string>() : "unknown";
}

void RunIndex::read_config(const std::string& folder, Run& run) const {
  run.config = Json::object();
  const auto text = files_.read(joined(folder, kWatched[kConfig]), kLongestDocument);
  for (const auto& [key, value] : config_entries(text.value_or(""))) {
    int64_t steps = 0;
    if (key != "train.steps") continue;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), steps);
    if (error == std::errc()) run.config["steps"] = steps;
  }
}

void RunIndex::read_metrics_end(const std::string& folder, Run& run) const {
  const auto file = files_.open(joined(folder, kWatched[kMetrics]));
  const Json point = parse_object(file ? std::optional(last_line(*file)) : std::nullopt);
  run.metrics = Json::object();
  for (const char* key : {"step", "loss_d", "loss_g", "ms_per_step", "wall_s"}) copy_plain(point, key, run.metrics);
}

void RunIndex::read_score(const std::string& folder, Run& run) const {
  run.score = nullptr;
  const std::string evaluations = joined(folder, kWatched[kScores]);
  const auto found = step_files(files_, evaluations, ".json");
  if (found.empty()) return;
  const Json document = parse_object(files_.read(joined(evaluations, found.back().name), kLongestDocument));
  const auto scores = document.find("scores");
  if (scores != document.end() && scores->is_object()) run.score = main_score(*scores, found.back().step);
}

std::string RunIndex::status_of(const std::string& folder, Run& run) {
  if (run.recorded_status != "running") return run.recorded_status;
  if (!is_lock_held(folder, run)) return "killed";
  return seconds_since_1970() - last_write(run.states) > options_.stalled_after.count() ? "stalled" : "running";
}

bool RunIndex::is_lock_held(const std::string& folder, Run& run) {
  const auto& lock = run.states[kLock];
  if (!lock) return false;
  if (!locks_) locks_ = system_locks();
  const bool was_listed = std::exchange(run.is_listed, locks_->contains({lock->device, lock->inode}));
  if (run.is_listed) return true;
  // One that has just left the list is tried at once.
  const auto now = Clock::now();
  if (!was_listed && run.lock_tried != Clock::time_point() && now - run.lock_tried < options_.lock_pause) {
    return run.is_locked;
  }
  const auto file = files_.open(joined(folder, kWatched[kLock]));
  if (!file) return false;
  run.lock_tried = now;
  run.is_locked = ::flock(file->descriptor(), LOCK_SH | LOCK_NB) != 0;
  return run.is_locked;  // closing the file gives the lock back
}

std::string RunIndex::name_of_root() const {
  std::error_code unknown;
  const auto path = std::filesystem::canonical(files_.root(), unknown);
  return unknown ? files_.root().string() : path.filename().string();
}

Json RunIndex::summary(const std::string& folder, const Run& run) const {
  const size_t slash = folder.rfind('/');
  Json json = {{"id", id_of_folder(folder)},
               {"group", id_of_folder(slash == folder.npos ? "" : folder.substr(0, slash))},
               {"folder", id_of_folder(folder.empty() ? name_of_root() : folder.substr(slash + 1))}};  // npos + 1 is 0
  json.update(run.record);
  json.update(run.config);
  json.update(run.metrics);
  if (!run.score.is_null()) json["score"] = run.score;
  json["status"] = run.status;
  json["written"] = last_write(run.states);
  json["report"] = run.states[kReport].has_value();
  return json;
}

void RunIndex::publish(const std::string& folder, const Run& run) {
  Json json = summary(folder, run);
  const std::lock_guard lock(mutex_);
  json["version"] = ++version_;
  published_[id_of_folder(folder)] = {folder, std::move(json), version_};
}

bool RunIndex::remove_gone() {
  std::vector<std::string> gone;
  for (const auto& [folder, run] : runs_) {
    if (run.scan != scans_) gone.push_back(folder);
  }
  const size_t removed_reports = std::erase_if(reports_, [](const auto& entry) { return !entry.second; });
  const std::lock_guard lock(mutex_);
  for (const std::string& folder : gone) {
    runs_.erase(folder);
    published_.erase(id_of_folder(folder));
  }
  truncated_ = is_truncated_;
  folders_.clear();
  for (const auto& [folder, is_there] : reports_) folders_[id_of_folder(folder)] = folder;
  if (gone.empty() && removed_reports == 0) return false;
  complete_from_ = ++version_;
  return true;
}

Json RunIndex::list(uint64_t since) const {
  const std::lock_guard lock(mutex_);
  const bool is_complete = since < complete_from_ || since > version_;
  Json runs = Json::array(), folders = Json::array();
  for (const auto& [id, run] : published_) {
    if (is_complete || run.version > since) runs.push_back(run.summary);
  }
  for (const auto& [id, folder] : folders_) folders.push_back({{"id", id}, {"report", true}});
  return {{"version", version_},
          {"complete", is_complete},
          {"truncated", truncated_},
          {"runs", std::move(runs)},
          {"folders", std::move(folders)}};
}

std::optional<std::string> RunIndex::folder_of_run(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = published_.find(id);
  return found == published_.end() ? std::nullopt : std::optional(found->second.folder);
}

std::optional<std::string> RunIndex::folder_of_report(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = folders_.find(id);
  return found == folders_.end() ? std::nullopt : std::optional(found->second);
}

uint64_t RunIndex::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

uint64_t RunIndex::version_of(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = published_.find(id);
  return found == published_.end() ? 0 : found->second.version;
}

std::string id_of_folder(const std::string& folder) {
  if (folder.empty()) return ".";
  const bool is_plain = printable(folder) == folder && folder.find('%') == folder.npos && folder != ".";
  if (is_plain) return folder;
  std::string id;
  for (const char character : folder) {
    const auto byte = static_cast<unsigned char>(character);
    const bool is_safe = byte > 0x20 && byte < 0x7F && byte != '%';
    id += is_safe ? std::string(1, character) : fmt::format("%{:02X}", byte);
  }
  return id;
}

std::string last_line(const ContainedFile& file) {
  constexpr uint64_t kMost = uint64_t{1} << 20;
  const uint64_t size = file.state().size;
  for (uint64_t count = 4096;; count *= 8) {
    const uint64_t begin = size - std::min({count, kMost, size});
    const std::string text = file.read(begin, size - begin);
    const size_t end = text.rfind('\n');
    if (end != text.npos && (begin == 0 || end > 0)) {
      const size_t before = end == 0 ? text.npos : text.rfind('\n', end - 1);
      if (before != text.npos) return text.substr(before + 1, end - before - 1);
      if (begin == 0) return text.substr(0, end);
    }
    if (begin == 0 || count >= kMost) return "";
  }
}

}  // namespace sgan
