#pragma once

#include <string>
#include <vector>

#include "report/comparison_view.h"

namespace sgan {

// Sample grids of the runs, a row a strategy and a column a seed, with real images beside them, and what moves them.
struct SampleSection {
  std::string html;
  std::string script;
};

// At most about 20 MB of embedded images: where the files are more, fewer steps are offered, then fewer seeds shown.
SampleSection comparison_samples(const Summary& summary, const std::vector<StrategyRuns>& strategies);

}  // namespace sgan
