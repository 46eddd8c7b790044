#include "report/interval_chart.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "report/chart_axis.h"
#include "report/svg_chart.h"
#include "run/format.h"

namespace sgan {
namespace {

// Lengths are in units of the view box, which the page shows at about one pixel each.
constexpr double kWidth = 420, kTop = 50, kRowHeight = 30, kRight = 14;
constexpr double kScatterHeight = 230, kScatterTop = 34;
constexpr double kCharacter = 6.7;  // mean width at 11 px of DejaVu Sans, the widest of the usual fonts
constexpr size_t kNameWidth = 24;

double text_width(const std::string& text) {
  return kCharacter * static_cast<double>(display_width(text));
}

// What the values span, and of the intervals as much as leaves the values a third of the width.
class Extent {
 public:
  void add(double value) {
    if (!is_drawable(value)) return;
    low_ = std::min(low_, value);
    high_ = std::max(high_, value);
  }
  void add(const Estimate& estimate) {
    add(estimate.value);
    for (const double end : {estimate.low, estimate.high}) {
      if (!is_drawable(end)) continue;
      reach_low_ = std::min(reach_low_, end);
      reach_high_ = std::max(reach_high_, end);
    }
  }
  Axis axis() const {
    if (low_ > high_) return axis_around(low_, high_);
    const double span = high_ - low_;
    const double room = span > 0 ? span : std::numeric_limits<double>::infinity();
    return axis_around(std::min(low_, std::max(reach_low_, low_ - room)),
                       std::max(high_, std::min(reach_high_, high_ + room)));
  }

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double low_ = kInfinity, high_ = -kInfinity, reach_low_ = kInfinity, reach_high_ = -kInfinity;
};

struct Rows {
  Axis axis;
  double left, right;

  double x_at(double value) const { return left + (right - left) * std::clamp(axis.at(value), 0.0, 1.0); }
  double y_at(size_t row) const { return kTop + kRowHeight * (static_cast<double>(row) + 0.5); }
};

// A horizontal or vertical bar from one end of an interval to the other; where the axis cuts it, an arrow.
std::string horizontal_bar(const Estimate& estimate, const Rows& rows, double y) {
  if (!is_drawable(estimate.low) || !is_drawable(estimate.high)) return "";
  const double from = rows.x_at(estimate.low), to = rows.x_at(estimate.high);
  std::string path = fmt::format("M{:.1f} {:.1f}H{:.1f}", from, y, to);
  path += rows.axis.at(estimate.low) < -1e-9 ? fmt::format("M{:.1f} {:.1f}l-5 4.5l5 4.5", from + 5, y - 4.5)
                                             : fmt::format("M{:.1f} {:.1f}v8", from, y - 4);
  path += rows.axis.at(estimate.high) > 1 + 1e-9 ? fmt::format("M{:.1f} {:.1f}l5 4.5l-5 4.5", to - 5, y - 4.5)
                                                 : fmt::format("M{:.1f} {:.1f}v8", to, y - 4);
  return fmt::format(R"(<path class="bar" d="{}"/>)", path);
}

std::string draw_row(const IntervalRow& row, const Rows& rows, size_t index) {
  const double y = rows.y_at(index);
  std::string marks;
  if (row.estimate && is_drawable(row.estimate->value)) {
    const double above = row.dots.empty() ? y : y - 5;
    marks = horizontal_bar(*row.estimate, rows, above);
    marks += fmt::format(R"(<path class="dot" d="M{:.1f} {:.1f}l5 5l-5 5l-5 -5Z"/>)", rows.x_at(row.estimate->value),
                         above - 5);
  }
  for (const double dot : row.dots) {
    if (!is_drawable(dot)) continue;
    marks += fmt::format(R"(<circle class="open" cx="{:.1f}" cy="{:.1f}" r="3"/>)", rows.x_at(dot), y + 7);
  }
  return fmt::format(R"(<g class="{}">{}</g><text x="0" y="{:.1f}">{}</text>)"
                     R"(<text class="soft" x="{}" y="{:.1f}" text-anchor="end">{}</text>)",
                     style_classes(row.style), marks, y + 4, escape_html(shorten(row.name, kNameWidth)), kWidth - 1,
                     y + 4, escape_html(row.note));
}

// One line for each order number that has dots in more than one row.
std::string draw_joins(const IntervalChart& chart, const Rows& rows) {
  size_t most = 0;
  for (const IntervalRow& row : chart.rows) most = std::max(most, row.dots.size());
  std::string path;
  for (size_t order = 0; order < most; ++order) {
    bool begun = false;
    for (size_t i = 0; i < chart.rows.size(); ++i) {
      const auto& dots = chart.rows[i].dots;
      if (order >= dots.size() || !is_drawable(dots[order])) continue;
      path += fmt::format("{}{:.1f} {:.1f}", begun ? "L" : "M", rows.x_at(dots[order]), rows.y_at(i) + 7);
      begun = true;
    }
  }
  return path.empty() ? "" : fmt::format(R"(<path class="join" d="{}"/>)", path);
}

std::string draw_direction(bool lower_is_better, const Rows& rows) {
  return fmt::format(R"(<text class="soft" x="{:.1f}" y="{}" text-anchor="{}">{}</text>)",
                     lower_is_better ? rows.left : rows.right, kTop - 10, lower_is_better ? "start" : "end",
                     lower_is_better ? "← better" : "better →");
}

std::string draw_x_axis(const Axis& axis, double left, double right, double bottom, const std::string& label,
                        double centre) {
  std::string svg = fmt::format(R"(<path class="axis" d="M{:.1f} {:.1f}H{:.1f}"/>)", left, bottom, right);
  for (const Tick& tick : linear_ticks(axis, std::max(2, static_cast<int>((right - left) / 55)))) {
    const double x = left + (right - left) * axis.at(tick.value);
    svg += fmt::format(R"(<path class="axis" d="M{:.1f} {:.1f}v4"/>)", x, bottom);
    svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)", x, bottom + 16, tick.label);
  }
  return svg + fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)", centre, bottom + 33,
                           escape_html(label));
}

std::string svg_element(const std::string& title, double height, const std::string& body) {
  const std::string text = escape_html(title);
  return fmt::format(
      R"(<svg class="chart" role="img" viewBox="0 0 {} {}" xmlns="http://www.w3.org/2000/svg"><title>{}</title>)"
      R"(<text class="title" x="0" y="18">{}</text>{}</svg>)",
      kWidth, height, text, text, body);
}

Rows layout(const IntervalChart& chart) {
  double names = 0, notes = 0;
  Extent extent;
  for (const IntervalRow& row : chart.rows) {
    names = std::max(names, text_width(shorten(row.name, kNameWidth)));
    notes = std::max(notes, text_width(row.note));
    if (row.estimate) extent.add(*row.estimate);
    for (const double dot : row.dots) extent.add(dot);
  }
  if (chart.zero_line) extent.add(0.0);
  return {extent.axis(), names + 12, kWidth - std::max(kRight, notes + 12)};
}

struct Plane {
  Axis x, y;
  double left;

  double x_at(double value) const { return left + (kWidth - kRight - left) * std::clamp(x.at(value), 0.0, 1.0); }
  double y_at(double value) const { return kScatterTop + kScatterHeight * (1 - std::clamp(y.at(value), 0.0, 1.0)); }
};

std::string draw_point(const ScatterPoint& point, const Plane& plane) {
  const double x = plane.x_at(point.x.value), y = plane.y_at(point.y.value);
  std::string path;
  if (is_drawable(point.x.low) && is_drawable(point.x.high)) {
    path += fmt::format("M{:.1f} {:.1f}H{:.1f}", plane.x_at(point.x.low), y, plane.x_at(point.x.high));
  }
  if (is_drawable(point.y.low) && is_drawable(point.y.high)) {
    path += fmt::format("M{:.1f} {:.1f}V{:.1f}", x, plane.y_at(point.y.low), plane.y_at(point.y.high));
  }
  return fmt::format(
      R"(<g class="{}"><path class="bar" d="{}"/><circle class="dot" cx="{:.1f}" cy="{:.1f}" r="4"/></g>)",
      style_classes(point.style), path, x, y);
}

struct Box {
  double left, right, top, bottom;

  bool meets(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

// The first place around (x, y) for a text of that width where nothing else is; above the point where there is none.
Box free_place(double x, double y, double width, const Plane& plane, const std::vector<Box>& taken) {
  constexpr double kHalf = 6.5;  // of the text's height
  const auto box_at = [&](double dx, double dy) { return Box{x + dx, x + dx + width, y + dy - kHalf, y + dy + kHalf}; };
  for (const double dy : {-10.0, 10.0, -24.0, 24.0, -38.0, 38.0}) {
    for (const double dx : {8.0, -8.0 - width}) {
      const Box box = box_at(dx, dy);
      const bool inside = box.left > plane.left && box.right < kWidth && box.top > kScatterTop - 6 &&
                          box.bottom < kScatterTop + kScatterHeight;
      if (inside && std::ranges::none_of(taken, [&](const Box& other) { return box.meets(other); })) return box;
    }
  }
  return box_at(-width / 2, -10);
}

std::string draw_names(const std::vector<ScatterPoint>& points, const Plane& plane) {
  std::vector<Box> taken;
  for (const ScatterPoint& point : points) {
    const double x = plane.x_at(point.x.value), y = plane.y_at(point.y.value);
    taken.push_back({x - 5, x + 5, y - 5, y + 5});
  }
  std::string svg;
  for (const ScatterPoint& point : points) {
    const std::string name = shorten(point.name, kNameWidth);
    const Box place = free_place(plane.x_at(point.x.value), plane.y_at(point.y.value), text_width(name), plane, taken);
    taken.push_back(place);
    svg += fmt::format(R"(<text class="halo" x="{:.1f}" y="{:.1f}">{}</text>)", place.left, place.bottom - 3,
                       escape_html(name));
  }
  return svg;
}

std::string draw_y_axis(const ScatterChart& chart, const Plane& plane, const std::vector<Tick>& ticks) {
  const double right = kWidth - kRight;
  std::string svg;
  for (const Tick& tick : ticks) {
    const double y = plane.y_at(tick.value);
    svg += fmt::format(R"(<path class="rule" d="M{:.1f} {:.1f}H{:.1f}"/>)", plane.left, y, right);
    svg +=
        fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)", plane.left - 7, y + 3.8, tick.label);
  }
  svg +=
      fmt::format(R"(<path class="axis" d="M{:.1f} {}V{}"/>)", plane.left, kScatterTop, kScatterTop + kScatterHeight);
  return svg + fmt::format(R"svg(<text transform="translate(12 {})rotate(-90)" text-anchor="middle">{}</text>)svg",
                           kScatterTop + kScatterHeight / 2, escape_html(chart.y_label));
}

}  // namespace

std::string interval_chart(const IntervalChart& chart) {
  const Rows rows = layout(chart);
  const double bottom = kTop + kRowHeight * static_cast<double>(chart.rows.size()) + 4;
  std::string body;
  for (const Tick& tick : linear_ticks(rows.axis, std::max(2, static_cast<int>((rows.right - rows.left) / 55)))) {
    body += fmt::format(R"(<path class="rule" d="M{:.1f} {}V{:.1f}"/>)", rows.x_at(tick.value), kTop, bottom);
  }
  if (chart.zero_line) body += fmt::format(R"(<path class="zero" d="M{:.1f} {}V{}"/>)", rows.x_at(0), kTop - 6, bottom);
  if (chart.lower_is_better) body += draw_direction(*chart.lower_is_better, rows);
  if (chart.join_dots) body += draw_joins(chart, rows);
  for (size_t i = 0; i < chart.rows.size(); ++i) body += draw_row(chart.rows[i], rows, i);
  body += draw_x_axis(rows.axis, rows.left, rows.right, bottom, chart.x_label, kWidth / 2);
  return svg_element(chart.title, bottom + 40, body);
}

std::string scatter_chart(const ScatterChart& chart) {
  Extent x, y;
  std::vector<ScatterPoint> points;
  for (const ScatterPoint& point : chart.points) {
    if (!is_drawable(point.x.value) || !is_drawable(point.y.value)) continue;
    x.add(point.x);
    y.add(point.y);
    points.push_back(point);
  }
  x.add(0.0);  // a cost is a ratio scale: without its zero a small difference looks large
  const Axis y_axis = y.axis();
  const auto ticks = linear_ticks(y_axis, 5);
  double labels = 0;
  for (const Tick& tick : ticks) labels = std::max(labels, text_width(tick.label));
  Axis x_axis = x.axis();
  x_axis.low = 0;
  const Plane plane{x_axis, y_axis, 28 + labels};
  std::string body = draw_y_axis(chart, plane, ticks);
  for (const ScatterPoint& point : points) body += draw_point(point, plane);
  body += draw_names(points, plane);
  const double bottom = kScatterTop + kScatterHeight, right = kWidth - kRight;
  body += draw_x_axis(x_axis, plane.left, right, bottom, chart.x_label, (plane.left + right) / 2);
  return svg_element(chart.title, bottom + 40, body);
}

}  // namespace sgan
