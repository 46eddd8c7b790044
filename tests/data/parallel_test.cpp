#include "data/parallel.h"

#include <atomic>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

namespace sgan {
namespace {

TEST(WorkQueue, RunsEverythingOnce) {
  for (const int64_t threads : {1, 2, 5}) {
    std::vector<std::atomic<int>> runs(1000);
    WorkQueue queue(threads, 10);
    for (std::atomic<int>& run : runs) queue.add([&run] { ++run; }, 3);
    queue.finish();
    for (const std::atomic<int>& run : runs) EXPECT_EQ(run, 1);
  }
}

TEST(WorkQueue, HoldsNoMoreThanItsLimit) {
  std::atomic<int> waiting = 0;
  int most = 0;
  WorkQueue queue(2, 10);
  for (int i = 0; i < 200; ++i) {
    ++waiting;
    queue.add([&] { --waiting; }, 3);
    most = std::max(most, waiting.load());
  }
  queue.finish();
  EXPECT_LE(most, 5);  // three that wait, one that runs and one that has just come
}

TEST(WorkQueue, ThreadsShareTheWork) {
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> elsewhere = false;
  WorkQueue queue(2, 1'000'000);
  queue.add([&] { elsewhere = std::this_thread::get_id() != caller; }, 1);
  for (int i = 0; i < 1000 && !elsewhere; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(elsewhere);
}

}  // namespace
}  // namespace sgan
