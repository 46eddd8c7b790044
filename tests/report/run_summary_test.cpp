#include "report/run_summary.h"

#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>

#include "configs/error.h"
#include "tests/report/run_fixture.h"

namespace sgan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using RunSummaryTest = RunFixture;

std::string error_of(const std::filesystem::path& folder) {
  try {
    read_run(folder);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST_F(RunSummaryTest, StepsThatAreNoNumberCountAsNone) {
  for (const char* step : {"null", "-3", "1e300"}) {
    const auto folder = make_run("odd", "gp");
    write("odd/metrics.jsonl", std::string("{\"step\":") + step + "}\n");
    EXPECT_EQ(read_run(folder).steps, 0) << step;
  }
}

TEST_F(RunSummaryTest, SummarizesTheMetrics) {
  const auto folder = make_run("a", "spectral", 3);
  write("a/metrics.jsonl",
        R"({"step":100,"ms_per_step":90,"critic_slope":{"mean":9,"max":9},"sigma_effective":{"a":9,"b":9}}
{"step":200,"ms_per_step":10}
{"step":300,"ms_per_step":14,"critic_slope":{"mean":0.5,"max":1.25},"sigma_effective":{"a":2,"b":3,"c":0.5}}
{"step":400,"ms_per_step":11}
{"step":500,"ms_per)");
  const RunSummary run = read_run(folder);
  EXPECT_EQ(run.name, "a");
  EXPECT_EQ(run.strategy, "spectral");
  EXPECT_EQ(run.seed, "3");
  EXPECT_EQ(run.status, "finished");
  EXPECT_EQ(run.steps, 400);
  EXPECT_EQ(run.metrics.size(), 4u);
  EXPECT_EQ(run.ms_per_step, 11);  // of 10, 14 and 11: the first point has the warm-up
  EXPECT_EQ(run.slope_mean, 0.5);
  EXPECT_EQ(run.slope_max, 1.25);
  EXPECT_EQ(run.sigma_max, 3);
  EXPECT_EQ(run.sigma_product, 3);
}

TEST_F(RunSummaryTest, TellsNotRecordedFromNotFinite) {
  const auto folder = make_run("a", "none");
  RunSummary run = read_run(folder);  // no metrics.jsonl: a run that has just started
  EXPECT_EQ(run.steps, 0);
  EXPECT_FALSE(run.ms_per_step || run.slope_max || run.sigma_max || run.sigma_product || run.reals);

  write("a/metrics.jsonl", R"({"step":1,"critic_slope":{"mean":null,"max":null},"sigma_effective":{"a":null,"b":2}})"
                           "\n");
  run = read_run(folder);
  EXPECT_FALSE(run.ms_per_step);
  for (const auto& value : {run.slope_mean, run.slope_max, run.sigma_max, run.sigma_product}) {
    ASSERT_TRUE(value);
    EXPECT_TRUE(std::isnan(*value));
  }
}

TEST_F(RunSummaryTest, FlattensRecordAndConfig) {
  const RunSummary run = read_run(make_run("a", "gp"));
  EXPECT_THAT(run.record, testing::Contains(Pair("parameters.generator", "12")));
  EXPECT_THAT(run.config,
              ElementsAre(Pair("name", "a"), Pair("seed", "0"), Pair("data.kind", "digits"), Pair("data.size", "8"),
                          Pair("generator.kind", "mlp"), Pair("loss", "hinge"),
                          Pair("penalties", "[{kind: gp, weight: 10, every: 1}]"), Pair("train.steps", "400"),
                          Pair("train.boost.first", "25"), Pair("train.batch", "64")));
  EXPECT_EQ(run.config_value("data.kind"), "digits");
  EXPECT_EQ(run.config_value("data"), "");
}

TEST_F(RunSummaryTest, FindsTheGridsByStep) {
  const auto folder = make_run("a", "gp");
  for (const char* file : {"step-00002000.png", "step-00000100.png", "step-x.png", "step-5.png.tmp", "reals.png"}) {
    write(std::filesystem::path("a/samples") / file, "png");
  }
  const RunSummary run = read_run(folder);
  ASSERT_EQ(run.grids.size(), 2u);
  EXPECT_EQ(run.grids[0].step, 100);
  EXPECT_EQ(run.grids[1].step, 2000);
  EXPECT_EQ(run.grids[1].path, folder / "samples/step-00002000.png");
  EXPECT_EQ(run.reals, folder / "samples/reals.png");
}

TEST_F(RunSummaryTest, NamesTheMissingFile) {
  EXPECT_THAT(error_of(root / "absent"), HasSubstr("absent"));
  write("empty/log.txt", "");
  EXPECT_THAT(error_of(root / "empty"), HasSubstr("config.yaml"));
  write("empty/config.yaml", "");
  EXPECT_THAT(error_of(root / "empty"), HasSubstr("run.json"));
  write("empty/run.json", "{");
  EXPECT_THAT(error_of(root / "empty"), HasSubstr("run.json"));
}

TEST(RunLabels, AddWhatTellsRunsApart) {
  const auto run = [](std::string name, std::string strategy, std::string seed) {
    RunSummary summary;
    summary.name = std::move(name);
    summary.strategy = std::move(strategy);
    summary.seed = std::move(seed);
    return summary;
  };
  EXPECT_THAT(run_labels({run("a", "gp", "0"), run("b", "none", "0"), run("c", "none", "1"), run("d", "none", "1"),
                          run("e", "", "0")}),
              ElementsAre("gp", "none, seed 0", "none, seed 1, c", "none, seed 1, d", "e"));
  EXPECT_THAT(run_labels({run("a", "gp", "0"), run("a", "gp", "0")}),
              ElementsAre("gp, seed 0, a (1)", "gp, seed 0, a (2)"));
}

}  // namespace
}  // namespace sgan
