#include "comparison/comparison_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <system_error>

#include "configs/error.h"
#include "configs/loader.h"
#include "run/atomic_file.h"
#include "run/file_descriptor.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBaseFile = "base.yaml";

void make_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw file_error("make the folder", path, error.value());
}

// The keys in which two configs differ as runs, whatever they are called and wherever they are put.
std::vector<std::string> keys_of_other_run(const Config& a, const Config& b) {
  auto keys = differing_run_keys(a, b);
  std::erase_if(keys, [](const std::string& key) { return key == "output" || key == "name"; });
  return keys;
}

constexpr std::array kOwnNames = {"base.yaml",   "compare.lock", "logs",       "report.html", "runs",      "strategies",
                                  "summary.csv", "summary.json", "summary.md", "summary.tex", "sweep.yaml"};

// A folder that another process is just making, or that was left by one that was killed, holds only names of its own.
void check_own(const fs::path& path) {
  for (const auto& entry : fs::directory_iterator(path)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with('.') || std::ranges::find(kOwnNames, name) != kOwnNames.end()) continue;
    throw UserError(fmt::format("{} holds {}, which is no part of a comparison. Give a new folder with --out.",
                                path.string(), name),
                    UserError::Kind::usage);
  }
}

// Held while the folder's files are made: processes that start together make them one after the other.
FileDescriptor lock(const fs::path& path) {
  const auto file = path / "compare.lock";
  FileDescriptor descriptor(file, O_RDWR | O_CREAT);
  if (::flock(descriptor.get(), LOCK_EX) != 0) throw file_error("lock", file, errno);
  return descriptor;
}

// Runs that are there must be those of the sweep, whatever made them.
void check_runs(const ComparisonFolder& folder) {
  for (const auto& strategy : folder.sweep().strategies) {
    for (const auto& cell : folder.cells()) {
      const auto file = cell.folder / "config.yaml";
      if (cell.strategy != strategy.name || !fs::exists(cell.folder / "run.json") || !fs::exists(file)) continue;
      auto wanted = strategy.config;
      wanted.seed = cell.seed;
      const auto keys = keys_of_other_run(load_config(file), wanted);
      if (keys.empty()) continue;
      throw UserError(fmt::format("{} is a run of strategy '{}' with another config (it differs in {}), which does not "
                                  "compare. Give another folder with --out, undo the change, or remove that run.",
                                  cell.folder.string(), strategy.name, fmt::join(keys, ", ")),
                      UserError::Kind::usage);
    }
  }
}

void take_threads(Sweep& sweep, int64_t threads) {
  if (sweep.base.threads == 0) sweep.base.threads = threads;
  for (auto& strategy : sweep.strategies) {
    if (strategy.config.threads == 0) strategy.config.threads = threads;
  }
}

// A damaged file costs its run, not the others.
RunResult read_cell(const fs::path& folder, const std::string& strategy, int64_t seed) {
  try {
    return read_result(folder, strategy, seed);
  } catch (const UserError& error) {
    RunResult damaged;
    damaged.strategy = strategy;
    damaged.seed = seed;
    damaged.folder = folder;
    damaged.outcome = Outcome::failed;
    damaged.why = error.what();
    return damaged;
  }
}

}  // namespace

ComparisonFolder::ComparisonFolder(fs::path path, Sweep sweep) : path_(std::move(path)), sweep_(std::move(sweep)) {}

bool ComparisonFolder::is_one(const fs::path& path) {
  return fs::exists(path / "sweep.yaml");
}

ComparisonFolder ComparisonFolder::open(const fs::path& path) {
  if (!is_one(path)) {
    throw UserError(fmt::format("{} holds no comparison: it has no sweep.yaml. Give the folder that `spectral-gan "
                                "compare` printed, or a sweep file such as configs/compare/digits.yaml.",
                                path.string()),
                    UserError::Kind::usage);
  }
  return {path, load_sweep(path / "sweep.yaml")};
}

ComparisonFolder ComparisonFolder::make(const fs::path& path, Sweep sweep, int64_t threads) {
  make_folders(path);
  if (!is_one(path)) check_own(path);
  const auto held = lock(path);
  take_threads(sweep, is_one(path) ? open(path).sweep().base.threads : threads);
  ComparisonFolder folder(path, std::move(sweep));
  check_runs(folder);
  folder.write_files();
  return folder;
}

void ComparisonFolder::write_files() const {
  for (const char* name : {"runs", "logs", "strategies"}) make_folders(path_ / name);
  write_file_atomically(path_ / kBaseFile, dump_config(sweep_.base));
  for (const auto& strategy : sweep_.strategies) {
    const auto keys = differing_keys(sweep_.base, strategy.config);
    write_file_atomically(strategy_path(strategy.name),
                          fmt::format("extends: ../{}\n{}", kBaseFile, dump_keys(strategy.config, keys)));
  }
  // Last: with it the folder is a comparison.
  write_file_atomically(sweep_path(), dump_sweep(sweep_, kBaseFile));
}

fs::path ComparisonFolder::run_path(const std::string& strategy, int64_t seed) const {
  return path_ / "runs" / fmt::format("{}-seed{}", strategy, seed);
}

std::vector<Cell> ComparisonFolder::cells() const {
  std::vector<Cell> cells;
  for (const int64_t seed : sweep_.seeds) {
    for (const auto& strategy : sweep_.strategies) {
      cells.push_back({strategy.name, seed, run_path(strategy.name, seed)});
    }
  }
  return cells;
}

std::vector<std::string> ComparisonFolder::strays() const {
  std::set<std::string> known;
  for (const auto& cell : cells()) known.insert(cell.name());
  std::vector<std::string> strays;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_ / "runs", error)) {
    const auto name = entry.path().filename().string();
    if (!known.contains(name)) strays.push_back(name);
  }
  std::ranges::sort(strays);
  return strays;
}

std::vector<std::string> ComparisonFolder::arguments(const Cell& cell, const std::string& device) const {
  std::vector<std::string> result{"train", strategy_path(cell.strategy).string(), fmt::format("seed={}", cell.seed)};
  if (!device.empty()) result.push_back("device=" + device);
  result.insert(result.end(), {"--out", cell.folder.string(), "--continue"});
  return result;
}

ComparisonPlan ComparisonFolder::plan() const {
  ComparisonPlan plan;
  plan.name = sweep_.name;
  plan.baseline = sweep_.baseline;
  for (const auto& strategy : sweep_.strategies) {
    auto keys = differing_keys(sweep_.base, strategy.config);
    std::erase(keys, "name");
    plan.strategies.emplace_back(strategy.name, override_text(strategy.config, keys));
  }
  plan.seeds = sweep_.seeds;
  plan.scores = sweep_.scores;
  plan.target = sweep_.target;
  return plan;
}

std::vector<RunResult> ComparisonFolder::read_results() const {
  std::vector<RunResult> results;
  for (const auto& strategy : sweep_.strategies) {
    for (const int64_t seed : sweep_.seeds) {
      results.push_back(read_cell(run_path(strategy.name, seed), strategy.name, seed));
    }
  }
  return results;
}

void write_summary(const Summary& summary, const fs::path& folder) {
  write_file_atomically(folder / "summary.json", to_json(summary).dump(2) + "\n");
  write_file_atomically(folder / "summary.csv", summary_csv(summary));
  write_file_atomically(folder / "summary.md", summary_markdown(summary));
  write_file_atomically(folder / "summary.tex", summary_latex(summary));
}

}  // namespace sgan
