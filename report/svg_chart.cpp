#include "report/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>

#include <fmt/format.h>

#include "report/format.h"

namespace sgan {
namespace {

// All lengths are in units of the view box, which the page shows at about one pixel each.
constexpr double kWidth = 480, kPlotHeight = 220;
constexpr double kTop = 34, kRight = 24;
constexpr double kCharacter = 6.7;  // mean width at 11 px of DejaVu Sans, the widest of the usual fonts
constexpr double kLegendRow = 17, kSwatch = 30;
constexpr size_t kLegendNameWidth = 56;
constexpr size_t kMostPoints = 1000;
constexpr size_t kMostMarkers = 32;  // sparse measurements are marked, dense ones are a line
constexpr size_t kDense = 150;       // from here on a thinner line
constexpr int kColours = 7, kDashes = 6;

constexpr std::string_view kStyle = R"(
.chart{display:block;width:100%;height:auto;font-size:11px}
.chart text{fill:currentColor}
.chart .title{font-size:12.5px;font-weight:600}
.chart .axis{stroke:currentColor;fill:none}
.chart .rule{stroke:currentColor;stroke-opacity:.13}
.chart .line{fill:none;stroke:currentColor;stroke-width:1.6;stroke-linejoin:round}
.chart .dense{stroke-width:1.1}
.chart .dot{fill:currentColor}
.chart .c0{color:#0072b2}.chart .c1{color:#d55e00}.chart .c2{color:#009e73}.chart .c3{color:#a64d83}
.chart .c4{color:#b97900}.chart .c5{color:#2f8fc4}.chart .c6{color:#222}
.chart .d1 .line{stroke-dasharray:7 3}.chart .d2 .line{stroke-dasharray:2 2.5}.chart .d3 .line{stroke-dasharray:9 3 2 3}
.chart .d4 .line{stroke-dasharray:14 3}.chart .d5 .line{stroke-dasharray:5 2 1.5 2 1.5 2}
@media(prefers-color-scheme:dark){
.chart .c0{color:#4aa8e8}.chart .c1{color:#f58442}.chart .c2{color:#2fc59a}.chart .c3{color:#dd9fc1}
.chart .c4{color:#ebb02f}.chart .c5{color:#8fd0f5}.chart .c6{color:#eee}}
)";

struct Tick {
  double value;
  std::string label;  // empty: a minor tick
};

struct Axis {
  double low, high;
  bool log = false;

  // Position of a value between the axis's ends, 0 to 1.
  double at(double value) const {
    return log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  }
  bool shows(double value) const {
    const double slack = (high - low) * 1e-9;
    return value >= low - slack && value <= high + slack;
  }
};

bool drawable(double value, bool log) {
  return std::abs(value) < 1e300 && (!log || value > 1e-300);  // false for NaN
}

std::string tick_label(double value, double step) {
  if (std::abs(value) < step * 1e-6) return "0";
  if (std::abs(value) >= 1e7 || step < 1e-5) return format_number(value, 3);
  if (step >= 1) return format_count(value);
  const std::string text = fmt::format("{:.{}f}", value, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  return text.starts_with('-') ? "−" + text.substr(1) : text;
}

// Multiples of 1, 2 or 5 times a power of ten.
std::vector<Tick> linear_ticks(const Axis& axis, int wanted, double smallest_step = 0) {
  const double rough = std::max((axis.high - axis.low) / wanted, smallest_step);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double step = (rough / power > 7 ? 10 : rough / power > 3.5 ? 5 : rough / power > 1.5 ? 2 : 1) * power;
  std::vector<Tick> ticks;
  for (double i = std::ceil(axis.low / step - 1e-9); axis.shows(i * step); ++i) {
    ticks.push_back({i * step, tick_label(i * step, step)});
  }
  return ticks;
}

// Decades; their 2 and 5 too where there are few; an evenly spaced scale within less than a decade.
std::vector<Tick> log_ticks(const Axis& axis) {
  const int first = static_cast<int>(std::floor(std::log10(axis.low))), last = static_cast<int>(std::log10(axis.high));
  const double decades = std::log10(axis.high / axis.low);
  if (decades < 0.8) return linear_ticks(axis, 5);
  const int every = static_cast<int>(std::ceil(decades / 7));
  std::vector<Tick> ticks;
  for (int exponent = first; exponent <= last + 1; ++exponent) {
    const double power = std::pow(10, exponent);
    for (int digit = 1; digit < 10; ++digit) {
      if (!axis.shows(digit * power) || (every > 1 && digit > 1)) continue;
      const bool labelled = digit == 1 ? exponent % every == 0 : decades < 2.2 && (digit == 2 || digit == 5);
      const bool plain = decades < 2.2 && std::abs(exponent) <= 3;
      ticks.push_back({digit * power, !labelled    ? ""
                                      : plain      ? tick_label(digit * power, power)
                                      : digit == 1 ? power_of_ten(exponent)
                                                   : fmt::format("{}×{}", digit, power_of_ten(exponent))});
    }
  }
  return ticks;
}

Axis x_axis(const LineChart& chart) {
  Axis axis{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const Series& series : chart.series) {
    if (series.x.empty()) continue;
    axis.low = std::min(axis.low, series.x.front());
    axis.high = std::max(axis.high, series.x.back());
  }
  if (axis.low > axis.high) return {0, 1};
  // Training starts at 0: a scale that starts at the first log point would hide how late that is.
  if (axis.low > 0 && axis.low < axis.high / 2) axis.low = 0;
  if (axis.low == axis.high) axis = {axis.low > 0 ? 0 : axis.low - 1, axis.high + 1};
  return axis;
}

Axis y_axis(const LineChart& chart) {
  Axis axis{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(), chart.log_y};
  if (chart.y_range) {
    std::tie(axis.low, axis.high) = *chart.y_range;
  } else {
    for (const Series& series : chart.series) {
      for (const double y : series.y) {
        if (!drawable(y, chart.log_y)) continue;
        axis.low = std::min(axis.low, y);
        axis.high = std::max(axis.high, y);
      }
    }
  }
  if (axis.low > axis.high) return {chart.log_y ? 0.1 : 0.0, 1, chart.log_y};
  if (axis.log) {
    const double margin = std::max(std::pow(axis.high / axis.low, 0.05), 1.05);
    return {axis.low / margin, axis.high * margin, true};
  }
  const double span = axis.high - axis.low, size = std::max(std::abs(axis.low), std::abs(axis.high));
  // A constant must not be blown up to its rounding noise.
  const double margin = span > 1e-5 * size ? span * 0.05 : size > 0 ? size * 0.05 : 1;
  return {axis.low - margin, axis.high + margin};
}

// The indices to draw: all, or of each of many stretches its smallest and largest value and one gap.
std::vector<size_t> thinned(const std::vector<double>& y, bool log) {
  const size_t count = y.size();
  std::vector<size_t> kept;
  if (count <= kMostPoints) {
    for (size_t i = 0; i < count; ++i) kept.push_back(i);
    return kept;
  }
  const size_t stretches = kMostPoints / 2;
  for (size_t stretch = 0; stretch < stretches; ++stretch) {
    const size_t begin = stretch * count / stretches, end = (stretch + 1) * count / stretches;
    std::optional<size_t> smallest, largest, gap;
    for (size_t i = begin; i < end; ++i) {
      if (!drawable(y[i], log)) {
        gap = i;
      } else {
        if (!smallest || y[i] < y[*smallest]) smallest = i;
        if (!largest || y[i] > y[*largest]) largest = i;
      }
    }
    for (const auto& index : {smallest, largest, gap}) {
      if (index) kept.push_back(*index);
    }
  }
  kept.push_back(0);
  kept.push_back(count - 1);
  std::ranges::sort(kept);
  const auto repeated = std::ranges::unique(kept);
  kept.erase(repeated.begin(), repeated.end());
  return kept;
}

struct Plot {
  Axis x, y;
  double left, width;

  double x_at(double value) const { return left + width * x.at(value); }
  double y_at(double value) const { return kTop + kPlotHeight * (1 - y.at(value)); }
};

std::string style_class(const Series& series) {
  return fmt::format("c{} d{}", series.style % kColours, series.style % kDashes);
}

std::string draw(const Series& series, const Plot& plot) {
  const std::vector<size_t> points = thinned(series.y, plot.y.log);
  const auto is_point = [&](size_t i) { return i < points.size() && drawable(series.y[points[i]], plot.y.log); };
  std::string path, dots;
  for (size_t i = 0; i < points.size(); ++i) {
    if (!is_point(i)) continue;
    const double x = plot.x_at(series.x[points[i]]), y = plot.y_at(series.y[points[i]]);
    const bool starts = i == 0 || !is_point(i - 1);
    path += fmt::format("{}{:.1f} {:.1f}", starts ? "M" : "L", x, y);
    const bool alone = starts && !is_point(i + 1);
    if (alone || points.size() <= kMostMarkers) {
      dots += fmt::format(R"(<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="2.2"/>)", x, y);
    }
  }
  return fmt::format(R"(<g class="{}"><path class="line{}" d="{}"/>{}</g>)", style_class(series),
                     points.size() < kDense ? "" : " dense", path, dots);
}

std::string draw_axes(const LineChart& chart, const Plot& plot, const std::vector<Tick>& y_ticks) {
  const double right = plot.left + plot.width, bottom = kTop + kPlotHeight;
  std::string svg;
  for (const Tick& tick : y_ticks) {
    const double y = plot.y_at(tick.value);
    if (!tick.label.empty()) {
      svg += fmt::format(R"(<path class="rule" d="M{:.1f} {:.1f}H{:.1f}"/>)", plot.left, y, right);
      svg +=
          fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)", plot.left - 7, y + 3.8, tick.label);
    }
    svg += fmt::format(R"(<path class="axis" d="M{:.1f} {:.1f}h{}"/>)", plot.left, y, tick.label.empty() ? -2 : -4);
  }
  for (const Tick& tick : linear_ticks(plot.x, plot.x.high < 1e5 ? 5 : 3, chart.whole_x ? 1 : 0)) {
    const double x = plot.x_at(tick.value);
    svg += fmt::format(R"(<path class="axis" d="M{:.1f} {:.1f}v4"/>)", x, bottom);
    svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)", x, bottom + 16, tick.label);
  }
  svg += fmt::format(R"(<path class="axis" d="M{:.1f} {}V{}H{:.1f}"/>)", plot.left, kTop, bottom, right);
  svg += fmt::format(R"(<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>)", plot.left + plot.width / 2,
                     bottom + 33, escape_html(chart.x_label));
  svg += fmt::format(R"svg(<text transform="translate(12 {})rotate(-90)" text-anchor="middle">{}</text>)svg",
                     kTop + kPlotHeight / 2, escape_html(chart.log_y ? chart.y_label + ", log scale" : chart.y_label));
  return svg;
}

// Rows of swatch and name below the plot; moves `bottom` to their lower end.
std::string draw_legend(const LineChart& chart, double left, double& bottom) {
  std::string svg;
  double x = left;
  bottom += kLegendRow;
  for (const Series& series : chart.series) {
    const std::string name = shorten(series.name, kLegendNameWidth);
    const double width = kSwatch + 6 + kCharacter * static_cast<double>(display_width(name));
    if (x > left && x + width > kWidth) {
      x = left;
      bottom += kLegendRow;
    }
    svg += fmt::format(R"(<g class="{}"><path class="line" d="M{:.1f} {:.1f}h{}"/></g>)", style_class(series), x,
                       bottom - 4, kSwatch);
    svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}">{}</text>)", x + kSwatch + 6, bottom, escape_html(name));
    x += width + 16;
  }
  return svg;
}

}  // namespace

std::string line_chart(const LineChart& chart) {
  const Axis y = y_axis(chart);
  const std::vector<Tick> y_ticks = y.log ? log_ticks(y) : linear_ticks(y, 5);
  size_t label_width = 0;
  for (const Tick& tick : y_ticks) label_width = std::max(label_width, display_width(tick.label));
  const double left = 28 + kCharacter * static_cast<double>(label_width);
  const Plot plot{x_axis(chart), y, left, kWidth - kRight - left};

  std::string body = draw_axes(chart, plot, y_ticks);
  for (const Series& series : chart.series) body += draw(series, plot);
  double bottom = kTop + kPlotHeight + 38;
  body += draw_legend(chart, 12, bottom);
  const std::string title = escape_html(chart.title);
  return fmt::format(
      R"(<svg class="chart" role="img" viewBox="0 0 {} {}" xmlns="http://www.w3.org/2000/svg"><title>{}</title>)"
      R"(<text class="title" x="12" y="18">{}</text>{}</svg>)",
      kWidth, bottom + 6, title, title, body);
}

std::string_view chart_style() {
  return kStyle;
}

}  // namespace sgan
