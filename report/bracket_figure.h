#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "comparison/results.h"
#include "report/figure.h"
#include "report/svg_chart.h"

namespace sgan {

// The brackets of one run, or of the runs of one strategy.
struct BracketPanel {
  std::string name;
  int style = 0;
  std::vector<const std::vector<BracketPoint>*> runs;
};

// One chart a panel, all on one logarithmic scale: the area between lower and upper bound, over several runs between
// their geometric means, with the single runs' bounds as faint lines. Panels without points are left out.
std::vector<LineChart> bracket_charts(const std::vector<BracketPanel>& panels);

// What the two bounds are, as HTML for the caption.
std::string_view bracket_caption();

// One row a run and step. run_names: of each panel’s runs.
CsvTable bracket_csv(const std::vector<BracketPanel>& panels, const std::vector<std::vector<std::string>>& run_names);

}  // namespace sgan
