#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/svg_chart.h"

namespace sgan {

// Comma-separated values as RFC 4180 has them.
class CsvTable {
 public:
  explicit CsvTable(const std::vector<std::string>& header) { add_row(header); }

  void add_row(const std::vector<std::string>& cells);
  bool has_rows() const { return rows_ > 1; }
  const std::string& text() const { return text_; }

  // A cell of a number: to 6 digits; empty for NaN.
  static std::string number(double value);
  // A cell of text. What a spreadsheet would take for a formula gets an apostrophe.
  static std::string words(std::string_view text);

 private:
  std::string text_;
  size_t rows_ = 0;
};

// A link that saves `content` as a file, without a server or script. what: what is saved, for screen readers.
std::string download_link(std::string_view file, std::string_view media_type, std::string_view content,
                          std::string_view text, std::string_view what);

// The charts side by side. kind: "narrow" for small ones.
std::string chart_tiles(const std::vector<LineChart>& charts, std::string_view kind = "");

// The charts' series as one row a point; long series are thinned evenly, so that all have about 20,000 points at most.
CsvTable chart_csv(const std::vector<LineChart>& charts);

// Numbers a page's figures and sets them with their captions.
class Figures {
 public:
  // body: HTML; caption: HTML; name: of the CSV file, or empty text where there are no data to save.
  std::string figure(std::string_view body, std::string_view caption, std::string_view name, const CsvTable& data);
  // The number that the next figure gets.
  int next() const { return figures_ + 1; }

 private:
  int figures_ = 0;
};

}  // namespace sgan
