#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "comparison/results.h"
#include "report/figure.h"
#include "report/svg_chart.h"

namespace sgan {

// A value of one run at a step. x: where it stands in the chart, the step or something else that grows with it.
struct CurvePoint {
  int64_t step;
  double x;
  double value;  // NaN: recorded, but not finite
};

// One quantity of one run over training.
struct RunCurve {
  int64_t seed = 0;
  bool stopped = false;  // the run diverged or failed
  std::vector<CurvePoint> points;
};

// One quantity of one strategy, a curve a run.
struct StrategyCurves {
  std::string name;
  int style = 0;
  std::vector<RunCurve> runs;
};

// Over the runs that have a finite value at the step: their mean and, from two on, its 95 % interval by Student's t.
struct MeanPoint {
  int64_t step;
  double x;
  double mean;
  double low, high;  // NaN for one run
  int64_t runs;
};

// geometric: mean and interval of the logarithm; values that are not positive are left out.
std::vector<MeanPoint> mean_over_runs(const std::vector<RunCurve>& runs, bool geometric = false);

// The number at `key` of the log points. Where there are more than `most`, means over as many windows of equal numbers
// of steps up to `last_step`; a window that holds a number that is not finite is NaN.
std::vector<CurvePoint> logged_curve(const std::vector<nlohmann::ordered_json>& metrics, std::string_view key,
                                     int64_t last_step, size_t most = 200);

struct SeedChartOptions {
  std::string title, x_label, y_label;
  bool log_y = false;  // means are geometric then
  bool whole_x = true;
};

// A line with its band for each strategy, single runs behind them, a cross where one has stopped. No legend.
LineChart seed_chart(const std::vector<StrategyCurves>& strategies, const SeedChartOptions& options);

// The header of what add_rows adds: one row a run and step, and one a step with the mean of the runs.
CsvTable seed_csv();
void add_rows(CsvTable& table, const std::string& quantity, const std::vector<StrategyCurves>& strategies,
              bool geometric = false);

}  // namespace sgan
