#pragma once

#include <optional>
#include <string>
#include <vector>

namespace sgan {

// A number with its interval; low and high are NaN where there is none.
struct Estimate {
  double value;
  double low;
  double high;
};

struct IntervalRow {
  std::string name;
  int style = 0;
  std::optional<Estimate> estimate;
  std::vector<double> dots;  // single values, in one order over the rows; NaN where there is none
  std::string note;          // at the right end
};

// Estimates with their intervals on one horizontal axis, one a row, with single values beside them. An interval that
// reaches far beyond all values is cut and ends in an arrow.
struct IntervalChart {
  std::string title, x_label;
  std::vector<IntervalRow> rows;
  bool zero_line = false;
  std::optional<bool> lower_is_better;  // labels the better direction
  bool join_dots = false;               // faint lines join the dots of one order number from row to row
};

// An <svg> element for use inside HTML, styled by chart_style(). Text is escaped.
std::string interval_chart(const IntervalChart& chart);

struct ScatterPoint {
  std::string name;
  int style = 0;
  Estimate x, y;
};

// Estimates in two directions with their intervals, each named beside its point.
struct ScatterChart {
  std::string title, x_label, y_label;
  std::vector<ScatterPoint> points;
};

std::string scatter_chart(const ScatterChart& chart);

}  // namespace sgan
