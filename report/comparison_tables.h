#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "comparison/summary.h"

namespace sgan {

// The table of the deciding score, one row a strategy, with its links to CSV, Markdown and LaTeX and the notes on how
// its numbers came about.
std::string deciding_table(const Summary& summary);

// The other scores, or empty text where there are none.
std::string other_scores_table(const Summary& summary);

// A table as HTML. cells: HTML; the first of a row is its header.
struct HtmlTable {
  std::string name;     // text, for screen readers; different for each table of a page
  std::string caption;  // HTML
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::set<size_t> text = {};  // the columns that hold text; the others are numbers
};
std::string html_table(const HtmlTable& table);

}  // namespace sgan
