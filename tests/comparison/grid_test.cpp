#include "comparison/grid.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "configs/error.h"
#include "run/atomic_file.h"
#include "run/file_descriptor.h"
#include "tests/comparison/sweep_fixture.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class GridTest : public testing::Test {
 protected:
  Grid grid(const std::string& script, size_t jobs = 2, bool retry = false) {
    return Grid(made_, {fixture_.program(script), std::vector<std::string>(jobs), retry});
  }
  // Returns the largest number of children at once.
  static int64_t run(Grid& grid) {
    int64_t most = 0;
    while (grid.advance()) {
      most = std::max<int64_t>(most, std::ranges::count(grid.cells(), CellState::running, &CellStatus::state));
      std::this_thread::sleep_for(2ms);
    }
    return most;
  }
  static std::vector<CellState> states(const Grid& grid) {
    std::vector<CellState> states;
    for (const auto& status : grid.cells()) states.push_back(status.state);
    return states;
  }
  fs::path path(const std::string& name) const { return fixture_.folder / name; }

  SweepFixture fixture_;
  ComparisonFolder made_ = fixture_.make();
};

TEST_F(GridTest, RunsEveryCellOnceAndNoMoreAtATimeThanThereAreSlots) {
  auto all = grid("echo x >> $out/starts; sleep 0.05; finish");
  EXPECT_EQ(run(all), 2);
  EXPECT_THAT(states(all), Each(CellState::finished));
  for (const auto& cell : made_.cells()) EXPECT_EQ(read_file(cell.folder / "starts"), "x\n") << cell.name();
  // Again there is nothing to do.
  auto again = grid("echo x >> $out/starts");
  EXPECT_FALSE(again.advance());
  EXPECT_EQ(read_file(made_.cells()[0].folder / "starts"), "x\n");
}

TEST_F(GridTest, GivesDevicesInTurn) {
  Grid devices(made_, {fixture_.program("echo $(basename $out) >> " + path("log").string() + "; sleep 0.05; finish"),
                       {"cuda:0", "cpu"}});
  devices.advance();
  EXPECT_EQ(devices.cells()[0].device, "cuda:0");
  EXPECT_EQ(devices.cells()[1].device, "cpu");
  run(devices);
}

TEST_F(GridTest, AFailedRunIsLeftOutWithItsReason) {
  auto first = grid(
      "[ $seed = 0 ] || { finish; exit 0; }\n"
      "case $out in *a-seed0) printf '{\"status\": \"failed\", \"why\": \"diverged here\"}' > $out/run.json;;\n"
      "*) echo 'error: no such data' >&2;; esac; exit 1");
  run(first);
  EXPECT_THAT(states(first),
              ElementsAre(CellState::failed, CellState::failed, CellState::finished, CellState::finished));
  EXPECT_EQ(first.cells()[0].why, "diverged here");
  EXPECT_EQ(first.cells()[1].why, "no such data");
  // It stays so, until it is asked for again.
  auto second = grid("finish");
  EXPECT_FALSE(second.advance());
  EXPECT_EQ(second.cells()[1].why, "no such data");
  auto third = grid("finish", 2, true);
  run(third);
  EXPECT_THAT(states(third), Each(CellState::finished));
  EXPECT_FALSE(fs::exists(made_.cells()[1].folder / "failure.json"));
}

TEST_F(GridTest, AKilledRunIsTriedAgainThreeTimesAtMost) {
  auto killed = grid(
      "echo x >> $out/starts\n"
      "[ $(wc -l < $out/starts) = 2 ] && [ $seed = 0 ] && { finish; exit 0; }\n"
      "kill -9 $$");
  run(killed);
  EXPECT_THAT(states(killed),
              ElementsAre(CellState::finished, CellState::finished, CellState::failed, CellState::failed));
  EXPECT_THAT(killed.cells()[2].why, AllOf(HasSubstr("3 times"), HasSubstr("signal 9"), HasSubstr("memory")));
  EXPECT_EQ(read_file(made_.cells()[2].folder / "starts"), "x\nx\nx\n");
}

TEST_F(GridTest, ARefusedConfigEndsTheComparison) {
  auto refused = grid("echo 'error: batch is larger than the data' >&2; exit 2");
  EXPECT_THAT([&] { run(refused); },
              ThrowsMessage<UserError>(
                  AllOf(HasSubstr("strategy '"), HasSubstr("was refused: batch is larger than the data"))));
}

TEST_F(GridTest, WaitsForWhatAnotherProcessRuns) {
  const auto cell = made_.cells()[0];
  fixture_.write("out/runs/a-seed0/run.lock", "");
  auto waiting = grid("echo x >> $out/starts; finish");
  {
    const FileDescriptor lock(cell.folder / "run.lock", O_RDWR);
    ASSERT_EQ(::flock(lock.get(), LOCK_EX | LOCK_NB), 0);
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(waiting.advance());
      std::this_thread::sleep_for(5ms);
    }
    EXPECT_THAT(states(waiting),
                ElementsAre(CellState::elsewhere, CellState::finished, CellState::finished, CellState::finished));
    EXPECT_FALSE(fs::exists(cell.folder / "starts"));
  }
  // The other one died: it is taken over.
  run(waiting);
  EXPECT_THAT(states(waiting), Each(CellState::finished));
  EXPECT_EQ(read_file(cell.folder / "starts"), "x\n");
}

// The child found the lock taken after this process had looked.
TEST_F(GridTest, ABusyRunIsComeBackTo) {
  auto busy = grid("echo x >> $out/starts; [ $(wc -l < $out/starts) -lt 5 ] && exit 75; finish");
  run(busy);
  EXPECT_THAT(states(busy), Each(CellState::finished));
}

TEST_F(GridTest, StopAsksTheRunningOnesAndStartsNoMore) {
  auto stopped = grid("trap 'echo saved > $out/saved; exit 130' TERM; touch $out/ready; while :; do sleep 0.01; done");
  while (!fs::exists(made_.cells()[0].folder / "ready") || !fs::exists(made_.cells()[1].folder / "ready")) {
    ASSERT_TRUE(stopped.advance());
    std::this_thread::sleep_for(2ms);
  }
  stopped.stop();
  run(stopped);
  EXPECT_THAT(states(stopped), Each(CellState::waiting));
  EXPECT_TRUE(fs::exists(made_.cells()[0].folder / "saved"));
  EXPECT_TRUE(fs::exists(made_.cells()[1].folder / "saved"));
  EXPECT_FALSE(fs::exists(made_.cells()[2].folder / "ready"));
}

TEST_F(GridTest, TellsHowFarAndHowLong) {
  fixture_.write("out/runs/a-seed0/run.json", R"({"status": "finished"})");
  fixture_.write("out/runs/a-seed0/metrics.jsonl", "{\"step\":10,\"wall_s\":20}\n");
  fixture_.write("out/runs/b-seed0/run.json", R"({"status": "interrupted"})");
  fixture_.write("out/runs/b-seed0/metrics.jsonl",
                 "{\"step\":2,\"wall_s\":1}\n{\"step\":4,\"wall_s\":16}\n{\"step\":6");
  const auto begun = grid("finish");
  EXPECT_EQ(begun.cells()[0].share, 1);
  EXPECT_EQ(begun.cells()[1].share, 0.4);
  EXPECT_EQ(begun.cells()[1].step, 4);
  EXPECT_EQ(begun.cells()[1].steps, 10);
  // a takes 20 s, b 40 s: 24 + 20 + 40 are left, one at a time.
  EXPECT_DOUBLE_EQ(*begun.seconds_left(), 84);
}

}  // namespace
}  // namespace sgan
