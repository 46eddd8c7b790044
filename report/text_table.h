#pragma once

#include <string>
#include <vector>

#include "report/run_summary.h"

namespace sgan {

// The comparison, one row per run, as the page and the terminal show it. Times are compared with the run of strategy
// "none", of the same seed if there is one; without any, the column is left out.
struct ComparisonTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  // as many cells each; "–" where nothing was recorded
};

ComparisonTable comparison(const std::vector<RunSummary>& runs);

// The same table as aligned plain text (UTF-8), with a rule below its header and a line end after each row.
std::string comparison_table(const std::vector<RunSummary>& runs);

}  // namespace sgan
