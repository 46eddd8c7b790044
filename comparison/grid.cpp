#include "comparison/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "configs/error.h"
#include "configs/exit_codes.h"
#include "run/atomic_file.h"
#include "run/format.h"
#include "run/json_text.h"
#include "run/metrics_log.h"
#include "run/run_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kMostAttempts = 3;
constexpr const char* kFailureFile = "failure.json";

Json read_object(const fs::path& path) {
  if (!fs::exists(path)) return Json::object();
  auto json = parse_json_object(read_file(path));
  return json.is_object() ? json : Json::object();
}

std::string text(const Json& object, const char* key) {
  const auto value = object.find(key);
  return value != object.end() && value->is_string() ? printable(value->get<std::string>()) : std::string();
}

// From 0 to 10^15: files may hold anything.
double number(const Json& object, const char* key) {
  const auto value = object.find(key);
  const double number = value != object.end() && value->is_number() ? value->get<double>() : 0;
  return number > 0 ? std::min(number, 1e15) : 0;
}

const Config& config_of(const Sweep& sweep, const std::string& strategy) {
  return std::ranges::find(sweep.strategies, strategy, &SweepStrategy::name)->config;
}

}  // namespace

Grid::Grid(const ComparisonFolder& folder, GridOptions options) : folder_(folder), options_(std::move(options)) {
  for (auto& cell : folder_.cells()) {
    CellStatus status;
    const auto& train = config_of(folder_.sweep(), cell.strategy).train;
    status.steps = train.seconds > 0 ? 0 : train.steps;
    status.cell = std::move(cell);
    read(status);
    retried_.push_back(status.state == CellState::failed && options_.retry_failed);
    if (retried_.back()) status.state = CellState::waiting;
    cells_.push_back(std::move(status));
  }
  attempts_.resize(cells_.size());
}

// What the cell's folder says. Does not ask who holds its lock.
void Grid::read(CellStatus& status) const {
  const auto& folder = status.cell.folder;
  const auto record = read_object(folder / "run.json");
  const auto state = text(record, "status");
  status.state = CellState::waiting;
  if (state == "finished") {
    status.state = CellState::finished;
  } else if (fs::exists(folder / kFailureFile)) {
    status.state = CellState::failed;
    status.why = text(read_object(folder / kFailureFile), "why");
  } else if (state == "failed") {
    status.state = CellState::failed;
    status.why = text(record, "why");
  }
  if (const auto line = last_metrics(folder / "metrics.jsonl")) {
    status.step = static_cast<int64_t>(number(*line, "step"));
    status.wall_s = number(*line, "wall_s");
    const auto seconds = config_of(folder_.sweep(), status.cell.strategy).train.seconds;
    status.share = status.steps > 0 ? static_cast<double>(status.step) / static_cast<double>(status.steps)
                                    : number(*line, "train_s") / seconds;
  }
  if (status.state == CellState::finished) status.share = 1;
  status.share = std::clamp(status.share, 0.0, 1.0);
}

bool Grid::advance() {
  std::erase_if(children_, [this](Running& child) { return look_after(child); });
  for (auto& status : cells_) {
    if (status.state != CellState::elsewhere) continue;
    read(status);
    if (status.state == CellState::waiting && RunFolder::is_busy(status.cell.folder))
      status.state = CellState::elsewhere;
  }
  if (stopping_) return !children_.empty();
  start_waiting();
  return std::ranges::any_of(cells_, [](const CellStatus& status) {
    return status.state != CellState::finished && status.state != CellState::failed;
  });
}

// True where the child has ended.
bool Grid::look_after(Running& child) {
  if (child.process.ended()) {
    collect(child);
    return true;
  }
  auto& status = cells_[child.cell];
  read(status);
  status.state = CellState::running;
  return false;
}

void Grid::start_waiting() {
  for (size_t slot = 0; slot < options_.devices.size(); ++slot) {
    if (std::ranges::any_of(children_, [&](const Running& child) { return child.slot == slot; })) continue;
    for (size_t cell = 0; cell < cells_.size(); ++cell) {
      auto& status = cells_[cell];
      if (status.state != CellState::waiting) continue;
      // Another process may have finished it meanwhile.
      read(status);
      if (status.state == CellState::failed && retried_[cell]) status.state = CellState::waiting;
      if (status.state == CellState::waiting && RunFolder::is_busy(status.cell.folder))
        status.state = CellState::elsewhere;
      if (status.state != CellState::waiting) continue;
      start(cell, slot);
      break;
    }
  }
}

void Grid::start(size_t cell, size_t slot) {
  auto& status = cells_[cell];
  if (retried_[cell]) fs::remove(status.cell.folder / kFailureFile);
  retried_[cell] = false;
  status.state = CellState::running;
  status.device = options_.devices[slot];
  std::vector<std::string> command{options_.program};
  std::ranges::move(folder_.arguments(status.cell, status.device), std::back_inserter(command));
  ++attempts_[cell];
  children_.push_back({cell, slot, ChildProcess(command, folder_.log_path(status.cell))});
}

void Grid::collect(Running& child) {
  auto& status = cells_[child.cell];
  const int code = child.process.exit_code();
  read(status);
  if (status.state != CellState::waiting) return;  // it told its end itself
  if (code == kBusy) {
    status.state = CellState::elsewhere;
    --attempts_[child.cell];
    return;
  }
  if (stopping_) return;
  if (code == kUsage) {
    throw UserError(fmt::format("strategy '{}' was refused: {}", status.cell.strategy, last_error(status.cell)),
                    UserError::Kind::usage);
  }
  const bool died = child.process.was_killed() || code == kInterrupted || code == 0;
  if (died && attempts_[child.cell] < kMostAttempts) return;  // tried again
  record_failure(status,
                 child.process.was_killed()
                     ? fmt::format("ended {} times, the last time by signal {} ({}); if that is 9, the system "
                                   "may have run out of memory",
                                   attempts_[child.cell], child.process.signal(), ::strsignal(child.process.signal()))
                     : last_error(status.cell));
}

// A run that could not tell its end itself gets a file that does.
void Grid::record_failure(CellStatus& status, const std::string& why) const {
  status.state = CellState::failed;
  status.why = why;
  std::error_code error;
  fs::create_directories(status.cell.folder, error);
  const Json json = {{"why", why}};
  write_file_atomically(status.cell.folder / kFailureFile,
                        json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string Grid::last_error(const Cell& cell) const {
  constexpr std::string_view kMark = "error: ";
  const auto log = read_file(folder_.log_path(cell));
  const auto begin = log.rfind(kMark);
  if (begin == std::string::npos)
    return fmt::format("it ended without a word; see {}", folder_.log_path(cell).string());
  const auto from = begin + kMark.size();
  return printable(log.substr(from, log.find('\n', from) - from));
}

void Grid::stop() {
  stopping_ = true;
  for (auto& child : children_) child.process.send(SIGTERM);
}

std::optional<double> Grid::seconds_left() const {
  // Seconds that a whole run takes: by its strategy where that is known, else by all.
  const auto whole_run = [&](const std::string& strategy) -> std::optional<double> {
    double seconds = 0, share = 0;
    for (const auto& status : cells_) {
      if (!strategy.empty() && status.cell.strategy != strategy) continue;
      seconds += status.wall_s;
      share += status.wall_s > 0 ? status.share : 0;
    }
    return share > 0 ? std::optional(seconds / share) : std::nullopt;
  };
  double total = 0, longest = 0;
  for (const auto& status : cells_) {
    if (status.state == CellState::finished || status.state == CellState::failed) continue;
    auto seconds = whole_run(status.cell.strategy);
    if (!seconds) seconds = whole_run({});
    if (!seconds) return std::nullopt;
    const double left = *seconds * (1 - status.share);
    total += left;
    longest = std::max(longest, left);
  }
  const auto at_once =
      std::max<size_t>(1, std::ranges::count_if(cells_, [](const CellStatus& status) {
                         return status.state == CellState::running || status.state == CellState::elsewhere;
                       }));
  return std::max(longest, total / static_cast<double>(at_once));
}

}  // namespace sgan
