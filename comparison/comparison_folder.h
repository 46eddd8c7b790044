#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "comparison/results.h"
#include "comparison/summary.h"
#include "configs/sweep.h"

namespace sgan {

// One run of the grid.
struct Cell {
  std::string strategy;
  int64_t seed = 0;
  std::filesystem::path folder;  // runs/<strategy>-seed<k>

  std::string name() const { return folder.filename().string(); }
};

// The folder that holds all of a comparison: sweep.yaml and what it refers to, base.yaml and strategies/<name>.yaml,
// all resolved, so that it can be run again as it is; the runs below runs/, what their processes said below logs/, and
// the summary. Any number of processes may work on one at once.
class ComparisonFolder {
 public:
  // Makes the folder, or takes one that is there: strategies and seeds may come and go, but runs that are there must be
  // those of the sweep. Configs that leave threads at 0 take those that the folder has recorded, else `threads`: with
  // other threads a run is another one in its last bits. Errors: UserError.
  static ComparisonFolder make(const std::filesystem::path& path, Sweep sweep, int64_t threads = 1);
  // Opens one that is there.
  static ComparisonFolder open(const std::filesystem::path& path);
  static bool is_one(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const Sweep& sweep() const { return sweep_; }
  std::filesystem::path sweep_path() const { return path_ / "sweep.yaml"; }
  std::filesystem::path strategy_path(const std::string& name) const { return path_ / "strategies" / (name + ".yaml"); }
  std::filesystem::path log_path(const Cell& cell) const { return path_ / "logs" / (cell.name() + ".txt"); }
  std::filesystem::path report_path() const { return path_ / "report.html"; }

  // Seed by seed, so that a part of the grid is paired too.
  std::vector<Cell> cells() const;
  // Runs that lie here but are none of the sweep's.
  std::vector<std::string> strays() const;
  // The program's arguments that run a cell, or go on with it. device: where, or empty for the config's own.
  std::vector<std::string> arguments(const Cell& cell, const std::string& device) const;

  ComparisonPlan plan() const;
  // Strategy by strategy, as summarize() wants them. A run with a damaged file has failed.
  std::vector<RunResult> read_results() const;

 private:
  ComparisonFolder(std::filesystem::path path, Sweep sweep);
  std::filesystem::path run_path(const std::string& strategy, int64_t seed) const;
  void write_files() const;

  std::filesystem::path path_;
  Sweep sweep_;
};

// Writes summary.json, .csv, .md and .tex into a folder.
void write_summary(const Summary& summary, const std::filesystem::path& folder);

}  // namespace sgan
