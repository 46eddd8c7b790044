#include "report/seed_curves.h"

#include <cmath>
#include <limits>
#include <string>

#include <gmock/gmock.h>

namespace sgan {
namespace {

using testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

RunCurve curve(int64_t seed, std::vector<CurvePoint> points) {
  return {seed, false, std::move(points)};
}

TEST(MeanOverRuns, HasStudentsInterval) {
  const auto means = mean_over_runs(
      {curve(0, {{10, 1, 1}, {20, 8, 5}}), curve(1, {{10, 3, 2}, {20, 9, kNan}}), curve(2, {{10, 5, 6}})});
  ASSERT_EQ(means.size(), 2u);
  EXPECT_EQ(means[0].step, 10);
  EXPECT_DOUBLE_EQ(means[0].x, 3);
  EXPECT_DOUBLE_EQ(means[0].mean, 3);
  // t(0.975, 2 degrees of freedom) = 4.302653; the standard deviation of 1, 2, 6 is sqrt(7).
  EXPECT_NEAR(means[0].high - 3, 4.302653 * std::sqrt(7.0 / 3), 1e-5);
  EXPECT_NEAR(3 - means[0].low, 4.302653 * std::sqrt(7.0 / 3), 1e-5);
  EXPECT_EQ(means[0].runs, 3);
  EXPECT_EQ(means[1].mean, 5);  // the NaN is left out, and one value has no interval
  EXPECT_TRUE(std::isnan(means[1].low));
  EXPECT_EQ(means[1].runs, 1);
}

TEST(MeanOverRuns, IsGeometricOnRequest) {
  const auto means = mean_over_runs({curve(0, {{1, 1, 2}}), curve(1, {{1, 1, 8}}), curve(2, {{1, 1, 0}}),
                                     curve(3, {{1, 1, -1}}), curve(4, {{1, 1, INFINITY}})},
                                    /*geometric=*/true);
  ASSERT_EQ(means.size(), 1u);
  EXPECT_DOUBLE_EQ(means[0].mean, 4);
  EXPECT_EQ(means[0].runs, 2);
  // t(0.975, 1) = 12.7062; the logarithms' standard error is ln 2.
  EXPECT_NEAR(std::log(means[0].high / 4), 12.7062 * std::log(2), 1e-4);
}

std::vector<nlohmann::ordered_json> log_of(int points, double value = 1) {
  std::vector<nlohmann::ordered_json> metrics;
  for (int i = 1; i <= points; ++i) metrics.push_back({{"step", i}, {"loss", value * i}});
  return metrics;
}

TEST(LoggedCurve, KeepsShortLogs) {
  const auto points = logged_curve(log_of(200), "loss", 200);
  ASSERT_EQ(points.size(), 200u);
  EXPECT_EQ(points[6].step, 7);
  EXPECT_EQ(points[6].value, 7);
  EXPECT_TRUE(logged_curve(log_of(10), "penalty", 10).empty());
}

TEST(LoggedCurve, AveragesLongOnesOverWindowsThatAllRunsShare) {
  auto metrics = log_of(1000);
  metrics[995]["loss"] = nullptr;
  const auto points = logged_curve(metrics, "loss", 1000, 10);
  ASSERT_EQ(points.size(), 10u);
  EXPECT_EQ(points[0].step, 100);
  EXPECT_DOUBLE_EQ(points[0].value, 50.5);  // of 1 to 100
  EXPECT_DOUBLE_EQ(points[8].value, 850.5);
  EXPECT_TRUE(std::isnan(points[9].value));  // a loss that was not finite is not averaged away
  // A run that stopped in the middle of a window has it at the same step.
  const auto stopped = logged_curve(log_of(250), "loss", 1000, 10);
  ASSERT_EQ(stopped.size(), 3u);
  EXPECT_EQ(stopped[2].step, 300);
}

TEST(LoggedCurve, DropsStepsThatDoNotAscend) {
  std::vector<nlohmann::ordered_json> metrics = {{{"step", 2}, {"loss", 1}},       {{"step", 1}, {"loss", 2}},
                                                 {{"step", nullptr}, {"loss", 3}}, {{"step", 1e300}, {"loss", 4}},
                                                 {{"step", 3}, {"loss", "x"}},     {{"step", 4}, {"loss", nullptr}}};
  const auto points = logged_curve(metrics, "loss", 4);
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].step, 2);
  EXPECT_TRUE(std::isnan(points[1].value));
}

TEST(SeedChart, DrawsMeansBandsAndSingleRuns) {
  StrategyCurves strategy{"gp", 3, {curve(0, {{1, 1, 1}, {2, 2, 2}}), curve(1, {{1, 1, 3}}), curve(2, {})}};
  strategy.runs[1].stopped = true;
  const LineChart chart = seed_chart({strategy}, {.title = "t", .x_label = "x", .y_label = "y"});
  ASSERT_EQ(chart.series.size(), 3u);
  EXPECT_EQ(chart.series[0].name, "gp");
  EXPECT_EQ(chart.series[0].y, (std::vector<double>{2, 2}));
  EXPECT_EQ(chart.series[0].low.size(), 2u);
  EXPECT_FALSE(chart.series[0].faint);
  EXPECT_TRUE(chart.series[1].faint);
  EXPECT_TRUE(chart.series[2].stopped);
  EXPECT_EQ(chart.series[2].style, 3);
}

TEST(SeedCsv, HasRunsAndMeans) {
  CsvTable table = seed_csv();
  add_rows(table, "fd", {{"gp", 0, {curve(7, {{10, 0.5, 1}}), curve(8, {{10, 1.5, 2}})}}});
  EXPECT_THAT(table.text(), HasSubstr("fd,gp,7,10,0.5,1,,,1\r\n"));
  EXPECT_THAT(table.text(), HasSubstr("fd,gp,mean,10,1,1.5,-4.8531,7.8531,2\r\n"));
}

}  // namespace
}  // namespace sgan
