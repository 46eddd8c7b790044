#include "comparison/comparison_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "configs/error.h"
#include "configs/loader.h"
#include "run/atomic_file.h"
#include "tests/comparison/sweep_fixture.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::string> names(const std::vector<Cell>& cells) {
  std::vector<std::string> names;
  for (const auto& cell : cells) names.push_back(cell.name());
  return names;
}

TEST(ComparisonFolder, HoldsTheSweepResolved) {
  const SweepFixture fixture;
  const auto made = fixture.make();
  EXPECT_THAT(names(made.cells()), ElementsAre("a-seed0", "b-seed0", "a-seed1", "b-seed1"));
  const auto config = load_config(made.strategy_path("b"));
  EXPECT_EQ(config.loss, LossKind::wgan);
  EXPECT_EQ(config.train.steps, 10);
  // It no longer needs the files it came from.
  fs::remove(fixture.folder / "base.yaml");
  fs::remove(fixture.folder / "sweep.yaml");
  const auto opened = ComparisonFolder::open(fixture.folder / "out");
  EXPECT_EQ(dump_sweep(opened.sweep(), "base.yaml"), dump_sweep(made.sweep(), "base.yaml"));
  EXPECT_EQ(dump_config(opened.sweep().strategies[1].config), dump_config(made.sweep().strategies[1].config));
  EXPECT_THAT(opened.plan().strategies, ElementsAre(std::pair("a", ""), std::pair("b", "loss=wgan")));
}

TEST(ComparisonFolder, ArgumentsRunOneCell) {
  const SweepFixture fixture;
  const auto made = fixture.make();
  const auto out = fixture.folder / "out";
  EXPECT_THAT(made.arguments(made.cells()[3], "cuda:1"),
              ElementsAre("train", (out / "strategies/b.yaml").string(), "seed=1", "device=cuda:1", "--out",
                          (out / "runs/b-seed1").string(), "--continue"));
  EXPECT_THAT(made.arguments(made.cells()[0], ""), ElementsAre("train", (out / "strategies/a.yaml").string(), "seed=0",
                                                               "--out", (out / "runs/a-seed0").string(), "--continue"));
}

TEST(ComparisonFolder, GrowsButKeepsWhatHasRuns) {
  const SweepFixture fixture;
  const auto out = fixture.folder / "out";
  fixture.make();
  auto sweep = fixture.sweep();
  // Nothing has run: anything may change.
  sweep.strategies[0].config.train.batch = 32;
  ComparisonFolder::make(out, sweep);
  fixture.write("out/runs/a-seed1/run.json", "{}");
  auto ran = sweep.strategies[0].config;
  ran.seed = 1;
  fixture.write("out/runs/a-seed1/config.yaml", dump_config(ran));
  sweep.seeds = {0, 1, 2};
  sweep.strategies.push_back({"c", sweep.base});
  sweep.strategies.back().config.name = "c";
  sweep.strategies.back().config.loss = LossKind::lsgan;
  sweep.strategies[1].config.train.batch = 16;
  EXPECT_EQ(ComparisonFolder::make(out, sweep).cells().size(), 9u);
  sweep.strategies[0].config.train.batch = 64;
  EXPECT_THAT([&] { ComparisonFolder::make(out, sweep); },
              ThrowsMessage<UserError>(
                  AllOf(HasSubstr("strategy 'a'"), HasSubstr("train.batch"), HasSubstr("another folder with --out"))));
  EXPECT_EQ(ComparisonFolder::open(out).sweep().strategies[0].config.train.batch, 32);
  // Nor may a sweep that left the strategy out meanwhile let it in changed.
  auto without = sweep;
  without.strategies.erase(without.strategies.begin());
  without.baseline = "b";
  ComparisonFolder::make(out, without);
  EXPECT_THROW(ComparisonFolder::make(out, sweep), UserError);
}

TEST(ComparisonFolder, TakesOverWhatAKilledStartLeft) {
  const SweepFixture fixture;
  const auto out = fixture.folder / "out";
  fixture.make();
  fs::remove(out / "sweep.yaml");
  fixture.write("out/.sweep.yaml.tmp-1-2-3", "name");
  EXPECT_EQ(fixture.make().cells().size(), 4u);
  EXPECT_TRUE(ComparisonFolder::is_one(out));
}

TEST(ComparisonFolder, ADamagedRunHasFailedAndTheOthersCount) {
  const SweepFixture fixture;
  const auto made = fixture.make();
  fixture.write("out/runs/b-seed0/run.json", "{");
  const auto results = made.read_results();
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[2].outcome, Outcome::failed);
  EXPECT_THAT(results[2].why, HasSubstr("run.json"));
  EXPECT_EQ(results[0].outcome, Outcome::unfinished);
}

TEST(ComparisonFolder, TakesTheThreadsThatItsRunsHad) {
  const SweepFixture fixture;
  auto sweep = fixture.sweep();
  const auto set = [&](int64_t threads) {
    sweep.base.threads = threads;
    for (auto& strategy : sweep.strategies) strategy.config.threads = threads;
  };
  set(3);
  ComparisonFolder::make(fixture.folder / "out", sweep);
  set(0);
  const auto again = ComparisonFolder::make(fixture.folder / "out", sweep);
  EXPECT_EQ(again.sweep().base.threads, 3);
  EXPECT_EQ(again.sweep().strategies[1].config.threads, 3);
}

TEST(ComparisonFolder, NamesStraysAndRefusesOtherFolders) {
  const SweepFixture fixture;
  const auto made = fixture.make();
  fixture.write("out/runs/old-seed0/run.json", "{}");
  EXPECT_THAT(made.strays(), ElementsAre("old-seed0"));
  fixture.write("other/file", "");
  EXPECT_THAT([&] { ComparisonFolder::make(fixture.folder / "other", fixture.sweep()); },
              ThrowsMessage<UserError>(HasSubstr("holds file, which is no part of a comparison")));
  EXPECT_THAT([&] { ComparisonFolder::open(fixture.folder / "other"); },
              ThrowsMessage<UserError>(HasSubstr("has no sweep.yaml")));
}

}  // namespace
}  // namespace sgan
