#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "comparison/results.h"
#include "comparison/summary.h"

namespace sgan {

// What the page tells beside the numbers.
struct ComparisonContext {
  std::filesystem::path folder;  // of the comparison; run folders are named relative to it
  std::string sweep;             // the sweep file's text; may be empty
};

// One self-contained HTML file about a comparison, in the order of a paper: what was compared and what came out, the
// deciding score with its intervals, samples, learning curves, Lipschitz brackets and spectra, cost, and how it was
// done. Data of every figure can be saved as CSV, also from disk. results: as summarize() gets them. Images are read
// from the run folders and embedded, at most about 20 MB. Errors: UserError where an image cannot be read;
// std::invalid_argument without a strategy or a score.
std::string comparison_page(const Summary& summary, const std::vector<RunResult>& results,
                            const ComparisonContext& context);

}  // namespace sgan
