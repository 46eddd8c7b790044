#include "report/seed_curves.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "comparison/statistics.h"

namespace sgan {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Values {
  double x = 0;  // sum
  std::vector<double> values;
};

std::vector<CurvePoint> all_points(const std::vector<nlohmann::ordered_json>& metrics, std::string_view key) {
  std::vector<CurvePoint> points;
  for (const auto& point : metrics) {
    const auto step = metric(point, "step"), value = metric(point, key);
    const bool ascends = step && *step >= 0 && *step < 1e15 && (points.empty() || *step > points.back().x);
    if (ascends && value) points.push_back({static_cast<int64_t>(*step), *step, *value});
  }
  return points;
}

Series series_of(const RunCurve& run, int style) {
  Series series{.name = "", .x = {}, .y = {}, .style = style};
  series.faint = true;
  series.stopped = run.stopped;
  for (const CurvePoint& point : run.points) {
    series.x.push_back(point.x);
    series.y.push_back(point.value);
  }
  return series;
}

Series mean_series(const StrategyCurves& strategy, bool geometric) {
  Series series{.name = strategy.name, .x = {}, .y = {}, .style = strategy.style};
  for (const MeanPoint& point : mean_over_runs(strategy.runs, geometric)) {
    series.x.push_back(point.x);
    series.y.push_back(point.mean);
    series.low.push_back(point.low);
    series.high.push_back(point.high);
  }
  return series;
}

}  // namespace

std::vector<MeanPoint> mean_over_runs(const std::vector<RunCurve>& runs, bool geometric) {
  std::map<int64_t, Values> at_steps;
  for (const RunCurve& run : runs) {
    for (const CurvePoint& point : run.points) {
      if (!std::isfinite(point.value) || (geometric && point.value <= 0)) continue;
      Values& values = at_steps[point.step];
      values.x += point.x;
      values.values.push_back(geometric ? std::log(point.value) : point.value);
    }
  }
  std::vector<MeanPoint> means;
  for (const auto& [step, at] : at_steps) {
    const Interval interval = student_interval(at.values);
    const auto shown = [&](double value) { return geometric ? std::exp(value) : value; };
    const auto count = static_cast<int64_t>(at.values.size());
    means.push_back({step, at.x / static_cast<double>(count), shown(interval.mean), shown(interval.low),
                     shown(interval.high), count});
  }
  // Where runs took different times, the mean time of those that are left can jump back.
  std::ranges::stable_sort(means, {}, &MeanPoint::x);
  return means;
}

std::vector<CurvePoint> logged_curve(const std::vector<nlohmann::ordered_json>& metrics, std::string_view key,
                                     int64_t last_step, size_t most) {
  const std::vector<CurvePoint> points = all_points(metrics, key);
  if (points.size() <= most) return points;
  const auto window_of = [&](int64_t step) {
    const double share = static_cast<double>(step - 1) / static_cast<double>(last_step);
    return std::clamp(static_cast<size_t>(std::max(share, 0.0) * static_cast<double>(most)), size_t{0}, most - 1);
  };
  std::vector<CurvePoint> means;
  for (size_t begin = 0, end = 0; begin < points.size(); begin = end) {
    const size_t window = window_of(points[begin].step);
    double sum = 0;
    for (end = begin; end < points.size() && window_of(points[end].step) == window; ++end) sum += points[end].value;
    // Every run's window has the same step, also where its last log points are missing.
    const auto step = static_cast<int64_t>(
        std::llround(static_cast<double>(window + 1) * static_cast<double>(last_step) / static_cast<double>(most)));
    const double value = sum / static_cast<double>(end - begin);
    means.push_back({step, static_cast<double>(step), std::isfinite(value) ? value : kNan});
  }
  return means;
}

LineChart seed_chart(const std::vector<StrategyCurves>& strategies, const SeedChartOptions& options) {
  LineChart chart{options.title, options.x_label, options.y_label, options.log_y, {}, {}};
  chart.whole_x = options.whole_x;
  chart.legend = false;
  for (const StrategyCurves& strategy : strategies) {
    chart.series.push_back(mean_series(strategy, options.log_y));
    for (const RunCurve& run : strategy.runs) {
      if (!run.points.empty()) chart.series.push_back(series_of(run, strategy.style));
    }
  }
  return chart;
}

CsvTable seed_csv() {
  return CsvTable({"quantity", "strategy", "seed", "step", "x", "value", "low", "high", "runs"});
}

void add_rows(CsvTable& table, const std::string& quantity, const std::vector<StrategyCurves>& strategies,
              bool geometric) {
  const auto number = CsvTable::number;
  for (const StrategyCurves& strategy : strategies) {
    const std::string name = CsvTable::words(strategy.name);
    for (const RunCurve& run : strategy.runs) {
      for (const CurvePoint& point : run.points) {
        table.add_row({quantity, name, std::to_string(run.seed), std::to_string(point.step), number(point.x),
                       number(point.value), "", "", "1"});
      }
    }
    for (const MeanPoint& point : mean_over_runs(strategy.runs, geometric)) {
      table.add_row({quantity, name, geometric ? "geometric mean" : "mean", std::to_string(point.step), number(point.x),
                     number(point.mean), number(point.low), number(point.high), std::to_string(point.runs)});
    }
  }
}

}  // namespace sgan
