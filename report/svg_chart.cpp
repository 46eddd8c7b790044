#include "report/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include <fmt/format.h>

#include "report/chart_axis.h"
#include "run/format.h"

namespace sgan {
namespace {

// All lengths are in units of the view box, which the page shows at about one pixel each.
constexpr double kPlotHeight = 220;
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
.chart .soft{fill-opacity:.78}
.chart .axis{stroke:currentColor;fill:none}
.chart .rule{stroke:currentColor;stroke-opacity:.13}
.chart .zero{stroke:currentColor;stroke-opacity:.6;stroke-dasharray:3 3}
.line{fill:none;stroke:currentColor;stroke-width:1.6;stroke-linejoin:round}
.chart .dense{stroke-width:1.1}
.chart .dot{fill:currentColor}
.chart .open{fill:var(--back);stroke:currentColor;stroke-width:1.4}
.chart .stop{stroke:currentColor;stroke-width:1.8;fill:none}
.chart .bar{stroke:currentColor;stroke-width:2;fill:none}
.chart .join{stroke:var(--text);stroke-opacity:.25;fill:none}
.chart .band{fill:currentColor;fill-opacity:.15}
.chart .faint .line{stroke-width:.9;stroke-opacity:.45;stroke-dasharray:none}
.chart .halo{paint-order:stroke;stroke:var(--back);stroke-width:3px;stroke-linejoin:round}
.legend{display:flex;flex-wrap:wrap;gap:.1rem 1.2rem;list-style:none;margin:.3rem 0;padding:0;font-size:.87rem}
.legend svg{width:30px;height:10px;margin-right:.45rem;vertical-align:middle}
.c0{color:#0072b2}.c1{color:#d55e00}.c2{color:#009e73}.c3{color:#a64d83}.c4{color:#b97900}.c5{color:#2f8fc4}
.c6{color:#222}
.d1 .line{stroke-dasharray:7 3}.d2 .line{stroke-dasharray:2 2.5}.d3 .line{stroke-dasharray:9 3 2 3}
.d4 .line{stroke-dasharray:14 3}.d5 .line{stroke-dasharray:5 2 1.5 2 1.5 2}
@media screen and (prefers-color-scheme:dark){
.c0{color:#4aa8e8}.c1{color:#f58442}.c2{color:#2fc59a}.c3{color:#dd9fc1}.c4{color:#ebb02f}.c5{color:#8fd0f5}
.c6{color:#eee}.chart .band{fill-opacity:.22}}
)";

Axis x_axis(const LineChart& chart) {
  Axis axis{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const Series& series : chart.series) {
    if (series.x.empty()) continue;
    axis.low = std::min(axis.low, series.x.front());
    axis.high = std::max(axis.high, series.x.back());
  }
  if (chart.x_end) axis.high = std::max(axis.high, *chart.x_end);
  if (axis.low > axis.high) return {0, 1};
  // Training starts at 0: a scale that starts at the first log point would hide how late that is.
  if (axis.low > 0 && axis.low < axis.high / 2) axis.low = 0;
  if (axis.low == axis.high) axis = {axis.low > 0 ? 0 : axis.low - 1, axis.high + 1};
  return axis;
}

// What the lines span and, of their bands, as much as leaves the lines half of the height: a band of two seeds is wide.
Axis y_axis(const LineChart& chart) {
  if (chart.y_range) return axis_around(chart.y_range->first, chart.y_range->second, chart.log_y);
  double low = std::numeric_limits<double>::infinity(), high = -low, band_low = low, band_high = high;
  const auto widen = [&](double& bottom, double& top, const std::vector<double>& values) {
    for (const double value : values) {
      if (!is_drawable(value, chart.log_y)) continue;
      bottom = std::min(bottom, value);
      top = std::max(top, value);
    }
  };
  for (const Series& series : chart.series) {
    widen(low, high, series.y);
    widen(band_low, band_high, series.low);
    widen(band_low, band_high, series.high);
  }
  if (low > high) return axis_around(low, high, chart.log_y);
  const double room = chart.log_y ? std::sqrt(high / low) : (high - low) / 2;
  low = std::min(low, std::max(band_low, chart.log_y ? low / room : low - room));
  high = std::max(high, std::min(band_high, chart.log_y ? high * room : high + room));
  return axis_around(low, high, chart.log_y);
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
      if (!is_drawable(y[i], log)) {
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
  // Values beyond the axis, which only bands have, stay at its ends.
  double y_at(double value) const { return kTop + kPlotHeight * (1 - std::clamp(y.at(value), 0.0, 1.0)); }
};

// A cross at the last point that can be drawn.
std::string draw_stop(const Series& series, const Plot& plot) {
  for (size_t i = series.y.size(); i-- > 0;) {
    if (!is_drawable(series.y[i], plot.y.log)) continue;
    return fmt::format(R"(<path class="stop" d="M{0:.1f} {1:.1f}l7 7m0 -7l-7 7"/>)", plot.x_at(series.x[i]) - 3.5,
                       plot.y_at(series.y[i]) - 3.5);
  }
  return "";
}

std::string draw(const Series& series, const Plot& plot) {
  const std::vector<size_t> points = thinned(series.y, plot.y.log);
  const auto is_point = [&](size_t i) { return i < points.size() && is_drawable(series.y[points[i]], plot.y.log); };
  std::string path, dots;
  for (size_t i = 0; i < points.size(); ++i) {
    if (!is_point(i)) continue;
    const double x = plot.x_at(series.x[points[i]]), y = plot.y_at(series.y[points[i]]);
    const bool starts = i == 0 || !is_point(i - 1);
    path += fmt::format("{}{:.1f} {:.1f}", starts ? "M" : "L", x, y);
    const bool alone = starts && !is_point(i + 1);
    if (alone || (points.size() <= kMostMarkers && !series.faint)) {
      dots += fmt::format(R"(<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="2.2"/>)", x, y);
    }
  }
  return fmt::format(R"(<g class="{}{}"><path class="line{}" d="{}"/>{}{}</g>)", series.faint ? "faint " : "",
                     style_classes(series.style), points.size() < kDense ? "" : " dense", path, dots,
                     series.stopped ? draw_stop(series, plot) : "");
}

// The areas between low and high, one for each stretch without a gap.
std::string draw_band(const Series& series, const Plot& plot) {
  std::string path, upper, lower;
  const auto end_stretch = [&] {
    if (!upper.empty()) path += fmt::format("M{}{}Z", upper.substr(1), lower);
    upper.clear();
    lower.clear();
  };
  for (const size_t i : thinned(series.y, plot.y.log)) {
    if (!is_drawable(series.low[i], plot.y.log) || !is_drawable(series.high[i], plot.y.log)) {
      end_stretch();
      continue;
    }
    const double x = plot.x_at(series.x[i]);
    upper += fmt::format("L{:.1f} {:.1f}", x, plot.y_at(series.high[i]));
    lower.insert(0, fmt::format("L{:.1f} {:.1f}", x, plot.y_at(series.low[i])));
  }
  end_stretch();
  return path.empty() ? "" : fmt::format(R"(<path class="band {}" d="{}"/>)", style_classes(series.style), path);
}

std::string draw_all(const LineChart& chart, const Plot& plot) {
  std::string bands, faint, lines;
  for (const Series& series : chart.series) {
    if (!series.low.empty()) bands += draw_band(series, plot);
    (series.faint ? faint : lines) += draw(series, plot);
  }
  return bands + faint + lines;
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
  const int wanted = static_cast<int>(plot.width / (plot.x.high < 1e5 ? 65 : 100));
  for (const Tick& tick : linear_ticks(plot.x, std::max(wanted, 1), chart.whole_x ? 1 : 0)) {
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
    if (series.faint) continue;
    const std::string name = shorten(series.name, kLegendNameWidth);
    const double width = kSwatch + 6 + kCharacter * static_cast<double>(display_width(name));
    if (x > left && x + width > chart.width) {
      x = left;
      bottom += kLegendRow;
    }
    svg += fmt::format(R"(<g class="{}"><path class="line" d="M{:.1f} {:.1f}h{}"/></g>)", style_classes(series.style),
                       x, bottom - 4, kSwatch);
    svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}">{}</text>)", x + kSwatch + 6, bottom, escape_html(name));
    x += width + 16;
  }
  return svg;
}

}  // namespace

std::string line_chart(const LineChart& chart) {
  const Axis y = y_axis(chart);
  const std::vector<Tick> y_ticks = ticks_of(y);
  size_t label_width = 0;
  for (const Tick& tick : y_ticks) label_width = std::max(label_width, display_width(tick.label));
  const double left = 28 + kCharacter * static_cast<double>(label_width);
  const Plot plot{x_axis(chart), y, left, chart.width - kRight - left};

  std::string body = draw_axes(chart, plot, y_ticks) + draw_all(chart, plot);
  double bottom = kTop + kPlotHeight + 38;
  if (chart.legend) body += draw_legend(chart, 12, bottom);
  const std::string title = escape_html(chart.title);
  return fmt::format(
      R"(<svg class="chart" role="img" viewBox="0 0 {} {}" xmlns="http://www.w3.org/2000/svg"><title>{}</title>)"
      R"(<text class="title" x="12" y="18">{}</text>{}</svg>)",
      chart.width, bottom + 6, title, title, body);
}

bool has_points(const LineChart& chart) {
  return std::ranges::any_of(chart.series, [&](const Series& series) {
    return std::ranges::any_of(series.y, [&](double y) { return is_drawable(y, chart.log_y); });
  });
}

std::string chart_legend(const std::vector<std::pair<std::string, int>>& names_and_styles) {
  std::string html = "<ul class=\"legend\">";
  for (const auto& [name, style] : names_and_styles) {
    html += fmt::format(
        R"(<li><svg viewBox="0 0 30 10" aria-hidden="true"><g class="{}"><path class="line" d="M0 5h30"/></g></svg>{}</li>)",
        style_classes(style), escape_html(name));
  }
  return html + "</ul>\n";
}

std::string style_classes(int style) {
  return fmt::format("c{} d{}", style % kColours, style % kDashes);
}

std::string_view chart_style() {
  return kStyle;
}

}  // namespace sgan
