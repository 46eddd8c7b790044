#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "comparison/child_process.h"
#include "comparison/comparison_folder.h"

namespace sgan {

enum class CellState {
  waiting,    // also interrupted ones
  running,    // as a child of this process
  elsewhere,  // another process has its lock
  finished,
  failed,  // diverged or ended by an error; left out
};

// How a cell stands.
struct CellStatus {
  Cell cell;
  CellState state = CellState::waiting;
  std::string why;     // of failed
  double share = 0;    // of the run that is done, 0 to 1
  int64_t step = 0;    // of the last log point
  int64_t steps = 0;   // wanted; 0 where a budget of seconds ends the run
  double wall_s = 0;   // that the run has taken so far
  std::string device;  // of a running one; empty: the config's own
};

struct GridOptions {
  std::string program;               // this program's file
  std::vector<std::string> devices;  // one entry per run at a time; empty text: the config's own device
  bool retry_failed = false;
};

// Runs the cells of a comparison as child processes, as many at a time as there are devices. Cells that other processes
// hold are waited for; one whose process dies without a word is tried three times.
class Grid {
 public:
  Grid(const ComparisonFolder& folder, GridOptions options);

  // Starts and collects what can be; returns false once every cell is finished or failed, or, after stop(), once no
  // child is left. Call it a few times a second. Errors: UserError where a config is refused, for then the whole
  // comparison is wrong.
  bool advance();
  // Asks the running ones to save and end; once more: at once.
  void stop();
  bool stopping() const { return stopping_; }

  const std::vector<CellStatus>& cells() const { return cells_; }
  // Seconds until all is done, from what the runs took so far; nothing before any has told.
  std::optional<double> seconds_left() const;

 private:
  struct Running {
    size_t cell;
    size_t slot;
    ChildProcess process;
  };

  void read(CellStatus& status) const;
  bool look_after(Running& child);
  void collect(Running& child);
  void start(size_t cell, size_t slot);
  void start_waiting();
  void record_failure(CellStatus& status, const std::string& why) const;
  std::string last_error(const Cell& cell) const;

  const ComparisonFolder& folder_;
  GridOptions options_;
  std::vector<CellStatus> cells_;
  std::vector<int> attempts_;
  std::vector<bool> retried_;  // failed before, and not started again yet
  std::vector<Running> children_;
  bool stopping_ = false;
};

}  // namespace sgan
