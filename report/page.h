#pragma once

#include <string>
#include <vector>

#include "report/run_summary.h"

namespace sgan {

// One self-contained HTML file that compares the runs (or shows the only one): table, sample grids, charts, protocol.
// Images are read from the run folders and embedded; of many sample steps an even selection. Errors: UserError when
// `runs` is empty or an image cannot be read.
std::string report_page(const std::vector<RunSummary>& runs);

}  // namespace sgan
