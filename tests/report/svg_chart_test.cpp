#include "report/svg_chart.h"

#include <cmath>
#include <limits>
#include <regex>
#include <string>
#include <string_view>
#include <utility>

#include <gmock/gmock.h>

#include "tests/report/run_fixture.h"

namespace sgan {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

LineChart chart_with(std::vector<double> x, std::vector<double> y) {
  return {"Loss", "step", "loss (no unit)", false, {{"run", std::move(x), std::move(y), 0}}, {}};
}

// The d attributes of the series' lines, without the legend's swatches.
std::vector<std::string> lines_of(const std::string& svg) {
  constexpr std::string_view kPath = "<path class=\"line", kData = " d=\"";
  std::vector<std::string> lines;
  for (size_t at = svg.find(kPath); at != std::string::npos; at = svg.find(kPath, at + 1)) {
    const size_t begin = svg.find(kData, at) + kData.size();
    std::string line = svg.substr(begin, svg.find('"', begin) - begin);
    if (line.find('h') == std::string::npos) lines.push_back(std::move(line));
  }
  return lines;
}

// Labels of the y axis from its lower to its upper end.
std::vector<std::string> y_labels(const std::string& svg) {
  std::vector<std::string> labels;
  const std::regex label(R"re(text-anchor="end">([^<]*)<)re");
  for (std::sregex_iterator match(svg.begin(), svg.end(), label), end; match != end; ++match)
    labels.push_back((*match)[1]);
  return labels;
}

TEST(LineChart, PlacesPointsOnTheScale) {
  LineChart chart = chart_with({0, 50, 100}, {0, 5, 10});
  chart.y_range = {0, 10};
  // The margin of 5 % on either end of 220 units from y = 34: 10 lies 10 units below the top, 0 as far above the
  // bottom.
  const std::string line = lines_of(line_chart(chart)).at(0);
  std::smatch match;
  ASSERT_TRUE(std::regex_match(line, match, std::regex(R"(M([\d.]+) 244\.0L([\d.]+) 144\.0L([\d.]+) 44\.0)")));
  EXPECT_NEAR(std::stod(match[2]), (std::stod(match[1]) + std::stod(match[3])) / 2, 0.11);
}

TEST(LineChart, BreaksLinesAtGapsAndDotsLonePoints) {
  const std::string svg = line_chart(chart_with({1, 2, 3, 4, 5, 6}, {1, 2, kNan, 3, kNan, 4}));
  EXPECT_EQ(count(lines_of(svg).at(0), "M"), 3u);
  EXPECT_EQ(count(lines_of(svg).at(0), "L"), 1u);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));

  std::vector<double> x, y;
  for (int i = 0; i < 100; ++i) {
    x.push_back(i);
    y.push_back(i == 40 || i == 42 ? kNan : 1.0 * i);
  }
  EXPECT_EQ(count(line_chart(chart_with(x, y)), "<circle"), 1u);  // only the lone point between the gaps
}

TEST(LineChart, ThinsLongSeriesButKeepsExtremesEndsAndGaps) {
  std::vector<double> x, y;
  for (int i = 0; i < 20000; ++i) {
    x.push_back(i);
    y.push_back(i == 7777 ? 100 : i == 12345 ? -100 : i == 15000 ? kNan : std::sin(i * 0.37));
  }
  LineChart chart = chart_with(x, y);
  chart.y_range = {-100, 100};
  const std::string line = lines_of(line_chart(chart)).at(0);
  EXPECT_LT(count(line, "L"), 1100u);
  EXPECT_GT(count(line, "L"), 900u);
  EXPECT_EQ(count(line, "M"), 2u);
  EXPECT_THAT(line, HasSubstr(" 44.0"));   // 100
  EXPECT_THAT(line, HasSubstr(" 244.0"));  // -100
}

TEST(LineChart, LabelsLinearTicksWithRoundNumbers) {
  EXPECT_THAT(y_labels(line_chart(chart_with({0, 1}, {-0.7, 0.7}))),
              testing::ElementsAre("−0.6", "−0.4", "−0.2", "0", "0.2", "0.4", "0.6"));
  EXPECT_THAT(y_labels(line_chart(chart_with({0, 1}, {0, 9000}))),
              testing::ElementsAre("0", "2,000", "4,000", "6,000", "8,000"));
}

TEST(LineChart, LabelsDecadesAndDropsWhatALogScaleCannotShow) {
  LineChart chart = chart_with({0, 1, 2, 3}, {0.001, 0, -5, 1000});
  chart.log_y = true;
  const std::string svg = line_chart(chart);
  EXPECT_THAT(y_labels(svg), testing::ElementsAre("10⁻³", "10⁻²", "10⁻¹", "10⁰", "10¹", "10²", "10³"));
  EXPECT_EQ(count(lines_of(svg).at(0), "M"), 2u);
  EXPECT_THAT(svg, HasSubstr("loss (no unit), log scale"));
}

TEST(LineChart, DrawsBandsBehindLinesAndBreaksThemAtGaps) {
  LineChart chart = chart_with({0, 1, 2, 3, 4}, {1, 1, 1, 1, 1});
  chart.series[0].low = {0, 0, kNan, 0, 0};
  chart.series[0].high = {2, 2, 2, 2, 2};
  const std::string svg = line_chart(chart);
  const size_t band = svg.find("class=\"band c0 d0\"");
  ASSERT_NE(band, std::string::npos);
  EXPECT_LT(band, svg.find("class=\"line\""));
  EXPECT_EQ(count(svg.substr(band, svg.find("/>", band) - band), "Z"), 2u);
}

TEST(LineChart, AWideBandLeavesRoomForTheLines) {
  LineChart chart = chart_with({0, 1}, {10, 20});
  chart.series[0].low = {-1000, 15};
  chart.series[0].high = {1000, 25};
  EXPECT_THAT(y_labels(line_chart(chart)), testing::ElementsAre("5", "10", "15", "20", "25"));
}

TEST(LineChart, SingleRunsArePaleAndMarkWhereTheyStopped) {
  LineChart chart = chart_with({0, 1}, {0, 1});
  Series run{"seed 0", {0, 1, 2}, {1, 2, kNan}, 3};
  run.faint = run.stopped = true;
  chart.series.push_back(run);
  const std::string svg = line_chart(chart);
  EXPECT_THAT(svg, HasSubstr("<g class=\"faint c3 d3\">"));
  EXPECT_THAT(svg, Not(HasSubstr("seed 0")));  // the legend
  EXPECT_EQ(count(svg, "class=\"stop\""), 1u);
  chart.legend = false;
  EXPECT_EQ(count(line_chart(chart), "h30\"/>"), 0u);
}

TEST(ChartLegend, ShowsStylesAndEscapes) {
  const std::string html = chart_legend({{"a<b", 8}});
  EXPECT_THAT(html, HasSubstr("class=\"c1 d2\""));
  EXPECT_THAT(html, HasSubstr("a&lt;b"));
}

TEST(LineChart, SurvivesDegenerateData) {
  for (const bool log : {false, true}) {
    for (LineChart chart :
         {chart_with({}, {}), chart_with({5}, {1}), chart_with({1, 2}, {kNan, kNan}), chart_with({1, 2}, {0, 0}),
          chart_with({1, 2}, {1e308, -1e308}), chart_with({1, 2}, {1e-8, 3e38}), chart_with({1, 2}, {1, 1 + 1e-15})}) {
      chart.log_y = log;
      const std::string svg = line_chart(chart);
      EXPECT_THAT(svg, Not(testing::AnyOf(HasSubstr("nan"), HasSubstr("inf"))));
      EXPECT_GE(y_labels(svg).size(), 2u);
      EXPECT_LE(y_labels(svg).size(), 12u);
    }
  }
}

TEST(LineChart, GivesSeriesTheirOwnColourAndDashAndEscapesNames) {
  LineChart chart = chart_with({0, 1}, {0, 1});
  chart.title = "a & b";
  for (int style = 1; style < 12; ++style) chart.series.push_back({"</svg><script>", {0, 1}, {1, 0}, style});
  const std::string svg = line_chart(chart);
  for (const char* style : {"c0 d0", "c1 d1", "c6 d0", "c0 d1", "c4 d5"}) {
    EXPECT_EQ(count(svg, std::string("class=\"") + style + "\""), 2u) << style;  // the line and its legend
  }
  EXPECT_THAT(svg, HasSubstr("<title>a &amp; b</title>"));
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
}

}  // namespace
}  // namespace sgan
