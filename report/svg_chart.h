#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sgan {

struct Series {
  std::string name;
  std::vector<double> x, y;  // as many of each, x ascending; a y that is not finite is a gap
  int style = 0;             // selects colour and dash pattern, the same in every chart

  std::vector<double> low = {}, high = {};  // a band around the line; empty, or as many as x
  bool faint = false;                       // one of several runs behind their mean: pale, solid and not in the legend
  bool stopped = false;                     // a cross marks its last point
};

struct LineChart {
  std::string title, x_label, y_label;  // labels with their units
  bool log_y = false;                   // values that are not positive become gaps
  std::vector<Series> series;
  std::optional<std::pair<double, double>> y_range;  // default: what the data spans
  bool whole_x = true;                               // x counts something: no ticks between whole numbers
  bool legend = true;                                // below the plot; without it, the page has one for several charts
  double width = 420;                                // of the view box
  std::optional<double> x_end = {};                  // right end of the x axis; default: where the data end
};

// An <svg> element for use inside HTML, styled by chart_style(). It scales to the width of its container. Series are
// told apart by colour (Okabe and Ito's palette, safe for colour-blind readers) and by dash pattern; one of more than
// about 1,000 points is thinned, keeping each stretch's extremes. Text is escaped.
std::string line_chart(const LineChart& chart);

// True where some series has a point that can be drawn.
bool has_points(const LineChart& chart);

// A legend as an HTML list: names, each with the line of its style.
std::string chart_legend(const std::vector<std::pair<std::string, int>>& names_and_styles);

// The CSS classes that give an element inside a chart the colour and dash pattern of a style.
std::string style_classes(int style);

// The charts' CSS: light and dark colours and the dash patterns.
std::string_view chart_style();

}  // namespace sgan
