#include "app/tensorboard_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <torch/utils.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "app/loaded_checkpoint.h"
#include "comparison/config_entries.h"
#include "comparison/results.h"
#include "configs/error.h"
#include "exchange/plain_network.h"
#include "models/factory.h"
#include "run/atomic_file.h"
#include "run/format.h"
#include "run/json_text.h"
#include "run/metrics_log.h"
#include "run/run_folder.h"
#include "run/step_name.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kFilePrefix = "events.out.tfevents.";
constexpr std::string_view kFileSuffix = ".spectral-gan";
constexpr const char* kLockName = "export.lock";

// TensorBoard puts the columns that differ between runs first, in the order of their names, and at first shows five.
// This name comes before all keys; the page has "strategy".
constexpr const char* kStrategy = "(strategy)";

// Where the keys of metrics.jsonl stand in TensorBoard, whose pages group by what is before the first slash.
const std::map<std::string, std::string>& tags_of_metrics() {
  static const std::map<std::string, std::string> kTags = {
      {"loss_d", "loss/D"},           {"loss_g", "loss/G"},
      {"penalty", "loss/penalty"},    {"critic_real", "critic/real"},
      {"critic_fake", "critic/fake"}, {"grad_norm_d", "gradient/D"},
      {"grad_norm_g", "gradient/G"},  {"critic_slope", "lipschitz/slope"},
      {"sigma", "lipschitz/sigma"},   {"sigma_effective", "lipschitz/sigma_effective"},
      {"images", "speed/images"},     {"ms_per_step", "speed/ms_per_step"},
      {"train_s", "speed/train_s"},   {"wall_s", "speed/wall_s"},
      {"probe_ms", "speed/probe_ms"}};
  return kTags;
}

// Calls take(tag, number) for each number below `value`; null stands for one that was not finite.
template <class Take>
void for_each_number(const std::string& tag, const Json& value, const Take& take) {
  if (value.is_number()) {
    take(tag, value.get<double>());
  } else if (value.is_null()) {
    take(tag, std::numeric_limits<double>::quiet_NaN());
  } else if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) for_each_number(tag + "/" + key, inner, take);
  }
}

// "2026-11-30T19:00:00Z" as seconds since 1970; 0 for anything else.
double seconds_of(const Json& text) {
  if (!text.is_string()) return 0;
  std::tm time = {};
  const auto* end = ::strptime(text.get_ref<const std::string&>().c_str(), "%Y-%m-%dT%H:%M:%SZ", &time);
  return end == nullptr ? 0 : static_cast<double>(::timegm(&time));
}

std::string state_of(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  const auto time = fs::last_write_time(file, error);
  return error ? "" : fmt::format("{} {}", size, time.time_since_epoch().count());
}

std::string file_name(int64_t seconds) {
  return fmt::format("{}{:010}{}", kFilePrefix, seconds, kFileSuffix);
}

// The number in such a name; nothing for other names.
std::optional<int64_t> number_of(const std::string& name) {
  if (!name.starts_with(kFilePrefix) || !name.ends_with(kFileSuffix)) return std::nullopt;
  const auto digits =
      std::string_view(name).substr(kFilePrefix.size(), name.size() - kFilePrefix.size() - kFileSuffix.size());
  int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

HyperParameter hyper_parameter(const std::string& text) {
  if (text == "true" || text == "false") return text == "true";
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  return text;
}

// A config's keys without those that say where a run was, and the strategy, which is "" where it is not known.
HyperParameters hyper_parameters(const Entries& entries, const std::string& strategy) {
  constexpr auto kPlaces = std::to_array<std::string_view>({"output", "name", "device", "threads", "data.cache"});
  HyperParameters values;
  if (!strategy.empty()) values.emplace_back(kStrategy, strategy);
  for (const auto& [key, value] : entries) {
    if (std::ranges::find(kPlaces, key) == kPlaces.end()) values.emplace_back(key, hyper_parameter(value));
  }
  return values;
}

// Locks a folder of event files; nothing while another process has it. The file names that process, then the run.
std::optional<FileDescriptor> lock(const fs::path& out) {
  FileDescriptor file(out / kLockName, O_RDWR | O_CREAT);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  if (errno != EWOULDBLOCK) throw file_error("lock", file.path(), errno);
  return std::nullopt;
}

// Two writers, or two runs, would empty each other's files.
FileDescriptor lock_for(const fs::path& run, const fs::path& out) {
  auto file = lock(out);
  const auto text = read_file(out / kLockName);
  const auto line = text.find('\n');
  if (!file) {
    throw UserError(
        fmt::format("another process (pid {}) is writing the event files in {}. Wait until it ends, or stop it.",
                    line == std::string::npos ? "unknown" : printable(text.substr(0, line)), out.string()));
  }
  const fs::path owner = line == std::string::npos ? "" : text.substr(line + 1, text.find('\n', line + 1) - line - 1);
  std::error_code error;
  const bool own_folder = fs::equivalent(fs::absolute(out).parent_path(), run, error);  // also of a copy of the run
  if (!own_folder && !owner.empty() && fs::exists(owner, error) && !fs::equivalent(owner, run, error)) {
    throw UserError(fmt::format("{} holds the event files of another run, {}. Name another --out folder, or remove it.",
                                out.string(), printable(owner.string())));
  }
  file->truncate(0);
  file->write_at(fmt::format("{}\n{}\n", ::getpid(), fs::absolute(run).string()), 0);
  return std::move(*file);
}

Histogram tensor_histogram(const torch::Tensor& values) {
  const auto wide = values.detach().to(torch::kCPU, torch::kDouble).contiguous();
  return histogram_of(std::span(wide.const_data_ptr<double>(), static_cast<size_t>(wide.numel())));
}

void add_layers(EventFile& file, const std::string& tag, int64_t step, double wall_time, const NetworkImpl& network) {
  const auto plain = plain_network(network);
  for (const auto& [name, layer] : network.layers()) {
    file.histogram(fmt::format("{}/{}", tag, name), step, wall_time,
                   tensor_histogram(plain.tensors.at(name + ".weight")));
  }
}

}  // namespace

TensorboardLog::TensorboardLog(fs::path run, fs::path out) : run_(std::move(run)), out_(std::move(out)) {}

bool TensorboardLog::is_running() const {
  const auto status = RunFolder::open_read_only(run_).read_status();
  return text_or(status, "status", "") == "running" && RunFolder::is_busy(run_);
}

// The numbers rise, so that readers, who take the files in the order of their names, end with the newest. Older ones
// are emptied: a server that stands in one goes on to the next from its end, but never from a file that is gone.
void TensorboardLog::begin_file() {
  std::error_code error;
  std::vector<fs::path> old;
  int64_t number = std::time(nullptr);
  for (const auto& entry : fs::directory_iterator(out_, error)) {
    const auto earlier = number_of(entry.path().filename().string());
    if (!earlier) continue;
    number = std::max(number, *earlier + 1);
    old.push_back(entry.path());
  }
  file_path_ = out_ / file_name(number);
  file_ = std::make_unique<EventFile>(file_path_, begun_);
  if (!old.empty()) file_->restart(0, begun_);
  for (const auto& path : old) {
    if (fs::file_size(path, error) == 0) {
      fs::remove(path, error);
    } else {
      fs::resize_file(path, 0, error);
    }
  }
  written_.clear();
  const auto status = RunFolder::open_read_only(run_).read_status();
  const auto strategy = status.find("strategy");
  hyper_parameters_ =
      hyper_parameters(config_entries(read_file(run_ / "config.yaml")),
                       strategy != status.end() && strategy->is_string() ? strategy->get<std::string>() : "");
  file_->session_start(hyper_parameters_, begun_);
}

double TensorboardLog::wall_time_of(int64_t step) const {
  const auto found = wall_times_.lower_bound(step);
  if (found != wall_times_.end()) return found->second;
  return wall_times_.empty() ? begun_ : wall_times_.rbegin()->second;
}

void TensorboardLog::add_texts(Records& records) const {
  const auto content = fmt::format("```yaml\n{}\n```\n", read_file(run_ / "config.yaml"));
  records.push_back({"config", 0, begun_, content, [content](EventFile& file, const Record& record) {
                       file.text(record.tag, record.step, record.wall_time, content);
                     }});
}

void TensorboardLog::add_metrics(Records& records) const {
  wall_times_.clear();
  if (!fs::exists(run_ / "metrics.jsonl")) return;
  for (const auto& line : read_metrics(run_ / "metrics.jsonl")) {
    if (!line.contains("step") || !line["step"].is_number_integer()) continue;
    const auto step = line["step"].get<int64_t>();
    const bool timed = line.contains("wall_s") && line["wall_s"].is_number();
    const double wall_time = begun_ + (timed ? line["wall_s"].get<double>() : 0);
    wall_times_[step] = wall_time;
    for (const auto& [key, value] : line.items()) {
      if (key == "step") continue;
      const auto known = tags_of_metrics().find(key);
      for_each_number(
          known == tags_of_metrics().end() ? key : known->second, value, [&](const std::string& tag, double number) {
            const std::string name = tag.find('/') == std::string::npos ? "other/" + tag : tag;
            records.push_back(
                {name, step, wall_time, fmt::format("{}", number), [number](EventFile& file, const Record& record) {
                   file.scalar(record.tag, record.step, record.wall_time, number);
                 }});
          });
    }
  }
}

void TensorboardLog::add_samples(Records& records) const {
  const auto add = [&](const std::string& tag, int64_t step, const fs::path& path) {
    records.push_back({tag, step, wall_time_of(step), state_of(path), [path](EventFile& file, const Record& record) {
                         const auto png = read_file(path);
                         if (!png_size(png)) throw UserError(fmt::format("{} is no PNG file", path.string()));
                         file.image(record.tag, record.step, record.wall_time, png);
                       }});
  };
  const auto folder = RunFolder::open_read_only(run_);
  if (fs::exists(folder.reals_path())) add("samples/reals", 0, folder.reals_path());
  for (const auto& [step, path] : folder.samples()) add("samples/generated", step, path);
}

void TensorboardLog::add_scores(Records& records) const {
  for (const auto& [name, points] : read_evaluations(run_).scores) {
    for (const auto& point : points) {
      records.push_back({"scores/" + name, point.step, wall_time_of(point.step), fmt::format("{}", point.value),
                         [value = point.value](EventFile& file, const Record& record) {
                           file.scalar(record.tag, record.step, record.wall_time, value);
                         }});
    }
  }
}

void TensorboardLog::add_brackets(Records& records) const {
  for (const auto& [step, path] : files_by_step(run_ / "lipschitz", ".json")) {
    const auto json = parse_json_object(read_file(path));
    if (!json.is_object() || !json.contains("network") || !json["network"].is_object()) {
      throw UserError(
          fmt::format("{} is no bracket. Remove it and run `spectral-gan lipschitz` again.", path.string()));
    }
    const double wall_time = wall_time_of(step);
    const auto& network = json["network"];
    for (const char* key : {"lower", "upper", "slack"}) {
      if (!network.contains(key) || !network[key].is_number()) continue;  // no useful bound
      const double number = network[key].get<double>();
      records.push_back({fmt::format("lipschitz/{}", key), step, wall_time, fmt::format("{}", number),
                         [number](EventFile& file, const Record& record) {
                           file.scalar(record.tag, record.step, record.wall_time, number);
                         }});
    }
    if (!network.contains("slopes") || !network["slopes"].is_object()) continue;
    for (const auto& [where, group] : network["slopes"].items()) {
      if (!group.is_object()) continue;
      std::vector<double> values;
      for (const auto& value : group.value("values", Json::array())) {
        if (value.is_number()) values.push_back(value.get<double>());
      }
      if (values.empty()) continue;
      records.push_back({"lipschitz/slopes/" + where, step, wall_time, state_of(path),
                         [values](EventFile& file, const Record& record) {
                           file.histogram(record.tag, record.step, record.wall_time, histogram_of(values));
                         }});
    }
  }
}

void TensorboardLog::add_weights(Records& records) const {
  for (const auto& [step, path] : RunFolder::open_read_only(run_).checkpoints()) {
    records.push_back({"weights", step, wall_time_of(step), "", [path](EventFile& file, const Record& record) {
                         if (!fs::exists(path)) return;  // the run has dropped it meanwhile
                         const auto loaded = load_checkpoint(path, std::nullopt);
                         const auto& shape = loaded.checkpoint.record.sample_shape;
                         const auto generator = make_generator(loaded.config, shape);
                         restore_generator(loaded.checkpoint, *generator, /*averaged=*/false);
                         add_layers(file, "weights/G", record.step, record.wall_time, *generator);
                         const auto discriminator = make_discriminator(loaded.config, shape);
                         restore_discriminator(loaded.checkpoint, *discriminator);
                         add_layers(file, "weights/D", record.step, record.wall_time, *discriminator);
                       }});
  }
}

TensorboardLog::Records TensorboardLog::collect() const {
  Records records;
  add_metrics(records);  // first: the others take their times from it
  add_texts(records);
  add_samples(records);
  add_scores(records);
  add_brackets(records);
  add_weights(records);
  std::ranges::stable_sort(records, {}, &Record::step);
  return records;
}

// Whether what is new can be added to what is written.
bool TensorboardLog::fits_behind(const Records& records) const {
  std::map<std::string, int64_t> last;
  for (const auto& [key, state] : written_) last[key.first] = key.second;  // the map is in the order of steps
  std::set<std::pair<std::string, int64_t>> present;
  for (const auto& record : records) {
    const auto found = written_.find({record.tag, record.step});
    if (found == written_.end()) {
      const auto before = last.find(record.tag);
      if (before != last.end() && record.step < before->second) return false;
    } else if (found->second != record.state) {
      return false;
    }
    present.emplace(record.tag, record.step);
  }
  return std::ranges::all_of(written_, [&](const auto& entry) {
    // A run may drop these, as it does old checkpoints.
    const bool may_go = entry.first.first == "weights" || entry.first.first.starts_with("samples/");
    return may_go || present.contains(entry.first);
  });
}

// Names, sizes and times of what is read: nothing else is looked at while it stays.
std::string TensorboardLog::listing() const {
  std::string text;
  for (const char* name : {"config.yaml", "run.json", "metrics.jsonl"}) text += state_of(run_ / name) + "\n";
  for (const char* name : {"samples", "checkpoints", "evaluation", "lipschitz"}) {
    std::error_code missing;
    std::set<std::string> lines;
    for (const auto& entry : fs::directory_iterator(run_ / name, missing)) {
      lines.insert(entry.path().filename().string() + " " + state_of(entry.path()));
    }
    for (const auto& line : lines) text += line + "\n";
  }
  return text;
}

void TensorboardLog::update() {
  // Where somebody has removed the folder since, all is written anew.
  if (lock_.get() >= 0 && !lock_.is_at(out_ / kLockName)) {
    file_.reset();
    lock_ = {};
    listed_.clear();
  }
  auto listed = listing();
  if (listed == listed_) {
    if (!failure_.empty()) throw UserError(failure_);
    return;
  }
  if (lock_.get() < 0) {
    std::error_code error;
    fs::create_directories(out_, error);
    if (error) throw file_error("make the folder", out_, error.value());
    lock_ = lock_for(run_, out_);
  }
  failure_.clear();
  try {
    begun_ = seconds_of(RunFolder::open_read_only(run_).read_status().value("start", Json()));
    const auto records = collect();
    if (file_ == nullptr || !fits_behind(records)) begin_file();
    write(records);
  } catch (const UserError& error) {
    failure_ = error.what();
    // What is written may end in the middle of an event.
    if (dynamic_cast<const FileError*>(&error) != nullptr) file_.reset();
  }
  listed_ = std::move(listed);
  if (!failure_.empty()) throw UserError(failure_);
}

// What cannot be read is left out, and the first of it told.
void TensorboardLog::write(const Records& records) {
  int64_t others = -1;
  for (const auto& record : records) {
    if (!written_.emplace(std::pair(record.tag, record.step), record.state).second) continue;
    try {
      record.write(*file_, record);
    } catch (const FileError&) {
      throw;
    } catch (const UserError& error) {
      if (++others == 0) failure_ = error.what();
    }
  }
  if (others > 0) failure_ += fmt::format(" (and {} more like it)", others);
}

void TensorboardLog::end_session() {
  const auto file = std::exchange(file_, nullptr);
  const auto lock = std::exchange(lock_, {});
  if (file == nullptr) return;
  const auto status = RunFolder::open_read_only(run_).read_status();
  const auto how = status.value("status", "");
  const auto end = how == "finished" ? SessionEnd::success
                   : how == "failed" ? SessionEnd::failure
                                     : SessionEnd::running;
  const double ended = seconds_of(status.value("end", Json()));
  file->session_end(end, ended > 0 ? ended : begun_, ended > 0 ? std::optional(ended) : std::nullopt);
}

void TensorboardLog::write_columns(const HyperParameterColumns& columns) const {
  if (!has_written()) return;
  const auto held = lock(out_);
  std::error_code error;
  if (!held || fs::file_size(file_path_, error) == 0 || error) return;
  EventFile::append_to(file_path_).columns(columns);
}

HyperParameterColumns columns_of(const std::vector<const TensorboardLog*>& logs) {
  HyperParameterColumns columns;
  std::vector<HyperParameters> runs;
  std::set<std::string> tags;
  for (const auto* log : logs) {
    if (!log->has_written()) continue;
    columns.begun = runs.empty() ? log->begun_ : std::min(columns.begun, log->begun_);
    runs.push_back(log->hyper_parameters_);
    for (const auto& [key, state] : log->written_) tags.insert(key.first);
  }
  columns.parameters = parameters_of(runs);
  for (auto& parameter : columns.parameters) {
    if (parameter.name == kStrategy) parameter.shown = "strategy";
  }
  for (const auto& tag : tags) {
    if (tag.starts_with("scores/")) columns.metrics.push_back(tag);
  }
  for (const char* tag : {"loss/D", "loss/G", "lipschitz/lower", "lipschitz/upper"}) {
    if (tags.contains(tag)) columns.metrics.emplace_back(tag);
  }
  return columns;
}

std::vector<std::pair<fs::path, fs::path>> find_runs(const fs::path& given) {
  constexpr int kDeepest = 8;
  // "runs/a/" means "runs/a"; "." has a name too.
  auto path = fs::absolute(given).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const auto is_run = [](const fs::path& folder) {
    return fs::exists(folder / "config.yaml") && fs::exists(folder / "run.json");
  };
  if (is_run(path)) return {{given, path.filename()}};
  std::vector<std::pair<fs::path, fs::path>> runs;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(path, fs::directory_options::skip_permission_denied, error), end;
       !error && entry != end; entry.increment(error)) {
    if (!entry->is_directory()) continue;
    const bool hidden = entry->path().filename().string().starts_with('.');
    const bool found = !hidden && is_run(entry->path());
    if (found) runs.emplace_back(entry->path(), fs::relative(entry->path(), path));
    if (hidden || found || entry.depth() >= kDeepest) entry.disable_recursion_pending();
  }
  std::ranges::sort(runs);
  return runs;
}

}  // namespace sgan
