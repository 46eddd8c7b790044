#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sgan {

std::string base64(std::string_view bytes);

// A whole page around `body`, which is HTML: light and dark, printable, with a content security policy that lets it
// load nothing from anywhere. title: text; script: JavaScript, or empty.
std::string html_page(std::string_view title, std::string_view body, std::string_view script = {});

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
