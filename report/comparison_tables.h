#pragma once

#include <string>

#include "comparison/summary.h"

namespace sgan {

// The table of the deciding score, one row a strategy, with its links to CSV, Markdown and LaTeX and the notes on how
// its numbers came about.
std::string deciding_table(const Summary& summary);

// The other scores, or empty text where there are none.
std::string other_scores_table(const Summary& summary);

}  // namespace sgan
