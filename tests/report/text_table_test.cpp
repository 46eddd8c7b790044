#include "report/text_table.h"

#include <gmock/gmock.h>

#include "run/format.h"
#include "report/run_summary.h"

namespace sgan {
namespace {

using testing::ElementsAre;

RunSummary run_of(std::string strategy, std::string seed, double ms) {
  RunSummary run;
  run.strategy = std::move(strategy);
  run.seed = std::move(seed);
  run.status = "finished";
  run.ms_per_step = ms;
  run.steps = 10000;
  return run;
}

TEST(Table, ComparesTimesWithTheUnconstrainedRunOfTheSameSeed) {
  const Table table = comparison(
      {run_of("none", "0", 10), run_of("none", "1", 20), run_of("gp", "1", 30), run_of("spectral", "7", 30)});
  ASSERT_EQ(table.header[2], "vs none");
  EXPECT_EQ(table.rows[0][2], "1.00×");
  EXPECT_EQ(table.rows[2][2], "1.50×");
  EXPECT_EQ(table.rows[3][2], "3.00×");  // no run of its seed: the first
}

TEST(Table, LeavesTheRatioOutWithoutABaseline) {
  RunSummary none = run_of("none", "0", 1);
  none.ms_per_step.reset();
  for (const Table& table : {comparison({run_of("gp", "0", 30)}), comparison({none})}) {
    EXPECT_THAT(table.header, ElementsAre("strategy", "ms/step", "slope mean", "slope max", "max σ", "∏ σ", "status"));
    EXPECT_EQ(table.rows[0].size(), table.header.size());
  }
}

TEST(Table, AlignsColumnsByDisplayWidth) {
  RunSummary wide = run_of("名前 \x1b[31m", "0", 1234);
  wide.slope_mean = 0.5;
  wide.sigma_max = 3.25;
  EXPECT_EQ(comparison_table({run_of("none", "0", 20), wide}),
            "strategy    ms/step  vs none  slope mean  slope max  max σ  ∏ σ  status\n"
            "──────────  ───────  ───────  ──────────  ─────────  ─────  ───  ─────────────────────\n"
            "none           20.0    1.00×           –          –      –    –  finished, step 10,000\n"
            "名前 \uFFFD[31m     1234   61.70×       0.500          –   3.25    –  finished, step 10,000\n");
}

}  // namespace
}  // namespace sgan
