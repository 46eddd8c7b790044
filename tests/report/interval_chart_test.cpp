#include "report/interval_chart.h"

#include <array>
#include <cmath>
#include <limits>
#include <regex>
#include <string>

#include <gmock/gmock.h>

#include "tests/report/run_fixture.h"

namespace sgan {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

IntervalChart chart_with(std::vector<IntervalRow> rows) {
  return {.title = "t",
          .x_label = "x",
          .rows = std::move(rows),
          .zero_line = false,
          .lower_is_better = {},
          .join_dots = false};
}

// From, to and centre of each row's interval.
std::vector<std::array<double, 3>> bars_of(const std::string& svg) {
  std::vector<std::array<double, 3>> bars;
  const std::regex bar(R"re(class="bar" d="M([\d.]+) [\d.]+H([\d.]+).*?class="dot" d="M([\d.]+) )re");
  for (std::sregex_iterator match(svg.begin(), svg.end(), bar), end; match != end; ++match) {
    bars.push_back({std::stod((*match)[1]), std::stod((*match)[2]), std::stod((*match)[3])});
  }
  return bars;
}

TEST(IntervalChart, PlacesIntervalsOnOneScale) {
  const auto bars =
      bars_of(interval_chart(chart_with({{"a", 0, Estimate{0, -1, 1}, {}, ""}, {"b", 1, Estimate{2, 1, 3}, {}, ""}})));
  ASSERT_EQ(bars.size(), 2u);
  for (const auto& [from, to, centre] : bars) EXPECT_NEAR(centre, (from + to) / 2, 0.11);
  const double unit = (bars[0][1] - bars[0][0]) / 2;
  EXPECT_NEAR(bars[1][2] - bars[0][2], 2 * unit, 0.2);
}

TEST(IntervalChart, CutsIntervalsThatWouldHideTheValues) {
  const std::string svg =
      interval_chart(chart_with({{"a", 0, Estimate{0, -1000, 1000}, {}, ""}, {"b", 1, Estimate{2, 1, 3}, {}, ""}}));
  EXPECT_EQ(count(svg, "l-5 4.5l5 4.5"), 1u);  // an arrow to the left …
  EXPECT_EQ(count(svg, "l5 4.5l-5 4.5"), 1u);  // … and to the right
  const auto bars = bars_of(svg);
  EXPECT_GT(bars[1][2] - bars[0][2], 50);
}

TEST(IntervalChart, ShowsDotsJoinsDirectionAndZero) {
  IntervalChart chart = chart_with({{"a", 0, {}, {1, kNan, 3}, "n = 2"}, {"b", 1, {}, {2, 5, kNan}, ""}});
  chart.join_dots = true;
  chart.zero_line = true;
  chart.lower_is_better = true;
  const std::string svg = interval_chart(chart);
  EXPECT_EQ(count(svg, "<circle"), 4u);
  const std::string join = svg.substr(svg.find("class=\"join\""), 120);
  EXPECT_EQ(count(join.substr(0, join.find("/>")), "L"), 1u);  // one seed is in both rows
  EXPECT_THAT(svg, HasSubstr("class=\"zero\""));
  EXPECT_THAT(svg, HasSubstr("← better"));
  EXPECT_THAT(svg, HasSubstr("n = 2"));
  chart.lower_is_better = false;
  EXPECT_THAT(interval_chart(chart), HasSubstr("better →"));
}

TEST(IntervalChart, SurvivesDegenerateDataAndEscapes) {
  for (auto rows : {std::vector<IntervalRow>{},
                    {{"<script>", 0, {}, {}, "<b>"}},
                    {{"a", 0, Estimate{kNan, kNan, kNan}, {kNan}, ""}},
                    {{"a", 0, Estimate{1, kNan, kNan}, {1}, ""}},
                    {{"a", 0, Estimate{1e308, -1e308, 1e308}, {INFINITY}, ""}},
                    {{"a", 0, Estimate{5, 5, 5}, {5, 5}, ""}},
                    {{"a", 0, Estimate{0, -INFINITY, INFINITY}, {}, ""}}}) {
    const std::string svg = interval_chart(chart_with(rows));
    EXPECT_THAT(svg, Not(testing::AnyOf(HasSubstr("nan"), HasSubstr("inf"), HasSubstr("<script"), HasSubstr("<b>"))));
  }
}

TEST(ScatterChart, NamesPointsWithoutOverlap) {
  ScatterChart chart{"t", "ms", "score", {}};
  for (int i = 0; i < 4; ++i) chart.points.push_back({"strategy" + std::to_string(i), i, {7, 6, 8}, {50, 40, 60}});
  chart.points.push_back({"<far>", 4, {20, kNan, kNan}, {10, kNan, kNan}});
  const std::string svg = scatter_chart(chart);
  const std::regex name(R"re(class="halo" x="([\d.]+)" y="([\d.]+)")re");
  std::vector<std::pair<double, double>> places;
  for (std::sregex_iterator match(svg.begin(), svg.end(), name), end; match != end; ++match) {
    places.emplace_back(std::stod((*match)[1]), std::stod((*match)[2]));
  }
  ASSERT_EQ(places.size(), 5u);
  for (size_t i = 0; i < 4; ++i) {
    for (size_t j = i + 1; j < 4; ++j) {
      const bool apart = std::abs(places[i].second - places[j].second) > 12 ||
                         std::abs(places[i].first - places[j].first) > 9 * 6.7 - 0.1;
      EXPECT_TRUE(apart) << i << " " << j;
    }
  }
  EXPECT_THAT(svg, HasSubstr("&lt;far&gt;"));
  EXPECT_THAT(svg, HasSubstr(">0</text>"));  // the cost axis has its zero
}

TEST(ScatterChart, SurvivesDegenerateData) {
  for (const double value : {0.0, kNan, 1e308, -5.0}) {
    ScatterChart chart{"t", "ms", "score", {{"a", 0, {value, value, value}, {value, kNan, kNan}}}};
    EXPECT_THAT(scatter_chart(chart), Not(testing::AnyOf(HasSubstr("nan"), HasSubstr("inf"))));
  }
}

}  // namespace
}  // namespace sgan
