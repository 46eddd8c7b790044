#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "report/run_summary.h"

namespace sgan {

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  // as many cells each
};

// Aligned plain text (UTF-8), with a rule below the header and a line end after each row. left: the columns that begin
// at their left edge; the others, numbers, end at their right one.
std::string text_table(const Table& table, const std::set<size_t>& left);

// The comparison, one row per run, as the page and the terminal show it. Times are compared with the run of strategy
// "none", of the same seed if there is one; without any, the column is left out. A cell is "–" where nothing was
// recorded.
Table comparison(const std::vector<RunSummary>& runs);

// The same as aligned plain text.
std::string comparison_table(const std::vector<RunSummary>& runs);

}  // namespace sgan
