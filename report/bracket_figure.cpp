#include "report/bracket_figure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "report/chart_axis.h"
#include "report/seed_curves.h"

namespace sgan {
namespace {

constexpr double kWidth = 300;

// One bound of a panel's runs as curves; a missing upper bound is infinite, which no mean and no line holds.
std::vector<RunCurve> bounds(const BracketPanel& panel, double BracketPoint::*bound) {
  std::vector<RunCurve> curves;
  for (const auto* run : panel.runs) {
    RunCurve& curve = curves.emplace_back();
    for (const BracketPoint& point : *run) {
      curve.points.push_back({point.step, static_cast<double>(point.step), point.*bound});
    }
  }
  return curves;
}

Series line_of(const BracketPanel& panel, const std::vector<MeanPoint>& points) {
  Series series{.name = panel.name, .x = {}, .y = {}, .style = panel.style};
  for (const MeanPoint& point : points) {
    series.x.push_back(point.x);
    series.y.push_back(point.mean);
  }
  return series;
}

// The lower bounds' line, with the area up to the upper ones where every run has one.
Series band_of(const BracketPanel& panel, const std::vector<MeanPoint>& lower, const std::vector<MeanPoint>& upper) {
  Series series = line_of(panel, lower);
  for (const MeanPoint& point : lower) {
    const auto above = std::ranges::find(upper, point.step, &MeanPoint::step);
    const bool bounded = above != upper.end() && above->runs == point.runs;
    series.low.push_back(point.mean);
    series.high.push_back(bounded ? above->mean : std::numeric_limits<double>::quiet_NaN());
  }
  return series;
}

void add_single_runs(LineChart& chart, const BracketPanel& panel, const std::vector<RunCurve>& curves) {
  if (curves.size() < 2) return;
  for (const RunCurve& curve : curves) {
    Series series{.name = "", .x = {}, .y = {}, .style = panel.style};
    series.faint = true;
    for (const CurvePoint& point : curve.points) {
      series.x.push_back(point.x);
      series.y.push_back(point.value);
    }
    chart.series.push_back(std::move(series));
  }
}

void use_one_scale(std::vector<LineChart>& charts) {
  double low = 1, high = 1, end = 0;
  for (const LineChart& chart : charts) {
    for (const Series& series : chart.series) {
      if (!series.x.empty()) end = std::max(end, series.x.back());
      for (const double y : series.y) {
        if (!is_drawable(y, /*log=*/true)) continue;
        low = std::min(low, y);
        high = std::max(high, y);
      }
    }
  }
  for (LineChart& chart : charts) {
    chart.y_range = {low, high};
    chart.x_end = end;
  }
}

}  // namespace

std::vector<LineChart> bracket_charts(const std::vector<BracketPanel>& panels) {
  std::vector<LineChart> charts;
  for (const BracketPanel& panel : panels) {
    const auto lower = bounds(panel, &BracketPoint::lower), upper = bounds(panel, &BracketPoint::upper);
    const auto lower_mean = mean_over_runs(lower, /*geometric=*/true), upper_mean = mean_over_runs(upper, true);
    LineChart chart{panel.name, "step (generator updates)", "Lipschitz constant", true, {}, {}};
    chart.legend = false;
    chart.width = kWidth;
    chart.series = {band_of(panel, lower_mean, upper_mean), line_of(panel, upper_mean)};
    add_single_runs(chart, panel, lower);
    add_single_runs(chart, panel, upper);
    if (has_points(chart)) charts.push_back(std::move(chart));
  }
  use_one_scale(charts);
  return charts;
}

std::string_view bracket_caption() {
  return "The discriminator’s ℓ2 Lipschitz constant lies in the area. Its lower edge is attained: a slope met between "
         "two points. Its upper edge is certified: a product of bounds of the layers’ norms, valid for every input, "
         "and usually far from tight. No upper edge: some operation has no useful bound. All panels have one "
         "logarithmic scale.";
}

CsvTable bracket_csv(const std::vector<BracketPanel>& panels, const std::vector<std::vector<std::string>>& run_names) {
  CsvTable table({"name", "run", "step", "lower", "upper"});
  for (size_t i = 0; i < panels.size(); ++i) {
    for (size_t run = 0; run < panels[i].runs.size(); ++run) {
      for (const BracketPoint& point : *panels[i].runs[run]) {
        table.add_row({CsvTable::words(panels[i].name), CsvTable::words(run_names[i][run]), std::to_string(point.step),
                       CsvTable::number(point.lower), CsvTable::number(point.upper)});
      }
    }
  }
  return table;
}

}  // namespace sgan
