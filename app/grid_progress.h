#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "comparison/grid.h"

namespace sgan {

// A comparison's progress on stderr: on a terminal a block of lines redrawn in place, one for the whole and one for
// each running cell; in a pipe a line whenever a cell begins or ends, and one for the whole every half minute.
class GridProgress {
 public:
  explicit GridProgress(std::string name);

  void update(const Grid& grid);

 private:
  using Clock = std::chrono::steady_clock;
  void tell_changes(const std::vector<CellStatus>& cells);
  std::string overall(const Grid& grid) const;

  std::string name_;
  bool terminal_;
  size_t drawn_ = 0;  // lines
  std::vector<CellState> before_;
  Clock::time_point shown_;
};

}  // namespace sgan
