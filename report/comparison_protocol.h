#pragma once

#include <string>
#include <vector>

#include "report/comparison_page.h"
#include "report/comparison_view.h"

namespace sgan {

// How the comparison was done: protocol of the scores, the strategies' configs and what differs between them, versions
// and devices, and every run with its outcome.
std::string protocol_section(const Summary& summary, const std::vector<StrategyRuns>& strategies,
                             const ComparisonContext& context);

}  // namespace sgan
