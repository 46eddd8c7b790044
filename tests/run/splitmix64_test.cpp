#include "run/splitmix64.h"

#include <array>
#include <cmath>

#include <gtest/gtest.h>

namespace sgan {
namespace {

TEST(SplitMix64, MatchesPublishedSequence) {
  SplitMix64 engine(1234567);
  EXPECT_EQ(engine(), 6457827717110365317U);
  EXPECT_EQ(engine(), 3203168211198807973U);
  EXPECT_EQ(engine(), 9817491932198370423U);
}

TEST(SplitMix64, KeepsItsNumbers) {  // data sets and orders of old runs depend on them
  SplitMix64 random(0, 0);
  EXPECT_EQ(random(), 6235967106033911276U);
  EXPECT_EQ(random(), 4964577235801436555U);
}

TEST(SplitMix64, SeedsAndStreamsDiffer) {
  const uint64_t first = SplitMix64(1, 1)();
  EXPECT_EQ(SplitMix64(1, 1)(), first);
  EXPECT_NE(SplitMix64(1, 2)(), first);
  EXPECT_NE(SplitMix64(2, 1)(), first);
}

TEST(SplitMix64, BelowIsUniform) {
  SplitMix64 random(5, 0);
  std::array<int, 6> counts{};
  constexpr int kDraws = 60000;
  for (int i = 0; i < kDraws; ++i) ++counts.at(random.below(counts.size()));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 4.0 * std::sqrt(kDraws * (1.0 / 6.0) * (5.0 / 6.0)));
}

TEST(SplitMix64, BelowHasNoModuloBias) {
  // Of 2^64 values, value % (3 * 2^62) would fall below 2^62 half the time instead of a third.
  SplitMix64 random(6, 0);
  constexpr uint64_t kQuarter = uint64_t{1} << 62;
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += random.below(3 * kQuarter) < kQuarter;
  EXPECT_NEAR(low, 10000, 4.0 * std::sqrt(30000 * (1.0 / 3.0) * (2.0 / 3.0)));
}

TEST(SplitMix64, NormalHasTheRightMoments) {
  SplitMix64 random(7, 0);
  constexpr int kDraws = 100000;
  double sum = 0.0, squares = 0.0, fourths = 0.0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    fourths += x * x * x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 4.0 * std::sqrt(1.0 / kDraws));
  EXPECT_NEAR(squares / kDraws, 1.0, 4.0 * std::sqrt(2.0 / kDraws));
  EXPECT_NEAR(fourths / kDraws, 3.0, 4.0 * std::sqrt(96.0 / kDraws));
}

}  // namespace
}  // namespace sgan
