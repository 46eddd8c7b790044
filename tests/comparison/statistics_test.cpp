#include "comparison/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

#include "run/atomic_file.h"

namespace sgan {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::NanSensitiveDoubleEq;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// What SciPy says; tests/fixtures/README.md.
const nlohmann::json& fixtures(const std::string& name) {
  static const nlohmann::json all =
      nlohmann::json::parse(read_file(std::filesystem::path(SGAN_SOURCE_DIR) / "tests/fixtures/statistics.json"));
  return all.at(name);
}

std::vector<double> numbers(const nlohmann::json& values) {
  return values.get<std::vector<double>>();
}

// Both sides are float64 computed in different orders: some hundred roundings apart.
void expect_close(double actual, const nlohmann::json& expected) {
  const double wanted = expected.get<double>();
  EXPECT_NEAR(actual, wanted, 1e-12 * std::abs(wanted));
}

TEST(StudentInterval, AgreesWithScipy) {
  for (const auto& expected : fixtures("intervals")) {
    const auto values = numbers(expected["values"]);
    const Interval interval = student_interval(values);
    expect_close(interval.mean, expected["mean"]);
    expect_close(interval.std, expected["std"]);
    expect_close(interval.low, expected["low"]);
    expect_close(interval.high, expected["high"]);
    EXPECT_EQ(interval.n, values.size());
  }
}

TEST(StudentInterval, OfOneTwoAndFiveHandValues) {
  const Interval five = student_interval(std::vector<double>{1, 2, 3, 4, 5});
  EXPECT_DOUBLE_EQ(five.mean, 3);
  EXPECT_DOUBLE_EQ(five.std, std::sqrt(2.5));
  EXPECT_NEAR(five.high - 3, 2.7764451 * std::sqrt(0.5), 1e-7);  // the table's t of 4 degrees of freedom
  const Interval two = student_interval(std::vector<double>{0, 2});
  EXPECT_NEAR(two.high, 1 + 12.7062047, 1e-6);
  const Interval one = student_interval(std::vector<double>{7});
  EXPECT_EQ(one.mean, 7);
  EXPECT_EQ(one.n, 1);
  EXPECT_TRUE(std::isnan(one.low) && std::isnan(one.high) && std::isnan(one.std));
  EXPECT_THROW(student_interval({}), std::invalid_argument);
}

TEST(StudentInterval, OfEqualAndOfExtremeValues) {
  const Interval equal = student_interval(std::vector<double>(3, 0.1));
  EXPECT_EQ(equal.low, 0.1);
  EXPECT_EQ(equal.high, 0.1);
  const Interval large = student_interval(std::vector<double>{1e200, 2e200, 3e200});
  EXPECT_DOUBLE_EQ(large.std, 1e200);
  EXPECT_DOUBLE_EQ(student_interval(std::vector<double>{1e-200, 2e-200, 3e-200}).std, 1e-200);
  EXPECT_TRUE(std::isnan(student_interval(std::vector<double>{1e308, 1e308, 9e307}).std));
}

TEST(BcaInterval, AgreesWithScipysMillionResamples) {
  for (const auto& expected : fixtures("bootstrap")) {
    const auto values = numbers(expected["values"]);
    const Interval interval = bca_interval(values);
    // 10,000 resamples find a 2.5 % point to about 0.04 standard errors of the mean, one in a long tail to 0.1.
    const double tolerance = 0.15 * interval.std / std::sqrt(static_cast<double>(values.size()));
    EXPECT_NEAR(interval.low, expected["low"].get<double>(), tolerance);
    EXPECT_NEAR(interval.high, expected["high"].get<double>(), tolerance);
    EXPECT_EQ(interval.method, "BCa bootstrap");
  }
}

TEST(BcaInterval, IsTheSameEveryTimeAndMovesWithTheValues) {
  const auto values = numbers(fixtures("bootstrap")[1]["values"]);
  const Interval first = bca_interval(values), second = bca_interval(values);
  EXPECT_EQ(first.low, second.low);
  EXPECT_EQ(first.high, second.high);
  std::vector<double> moved;
  for (const double value : values) moved.push_back(1024 - 2 * value);
  const Interval mirrored = bca_interval(moved);
  EXPECT_NEAR(mirrored.low, 1024 - 2 * first.high, 0.1 * mirrored.std);
  EXPECT_NEAR(mirrored.high, 1024 - 2 * first.low, 0.1 * mirrored.std);
}

TEST(BcaInterval, OfEqualSkewedAndExtremeValues) {
  const Interval equal = bca_interval(std::vector<double>(20, 0.1));
  EXPECT_EQ(equal.low, 0.1);
  EXPECT_EQ(equal.high, 0.1);
  std::vector<double> one_apart(30, 0.0);
  one_apart[3] = 1e300;
  const Interval skewed = bca_interval(one_apart);
  EXPECT_GE(skewed.low, 0);
  EXPECT_GT(skewed.high, skewed.mean);
  EXPECT_LT(skewed.high, 1e300);
  EXPECT_TRUE(std::isnan(bca_interval(std::vector<double>{5}).low));
}

TEST(MeanInterval, TakesTheBootstrapFromTwentyValuesOn) {
  std::vector<double> values;
  for (int i = 0; i < 19; ++i) values.push_back(i * i);
  EXPECT_EQ(mean_interval(values).method, "Student's t");
  EXPECT_EQ(mean_interval(values).low, student_interval(values).low);
  values.push_back(400);
  EXPECT_EQ(mean_interval(values).method, "BCa bootstrap");
  EXPECT_EQ(mean_interval(values).low, bca_interval(values).low);
}

TEST(PairedDifference, AgreesWithScipy) {
  for (const auto& expected : fixtures("paired")) {
    const auto strategy = numbers(expected["strategy"]), baseline = numbers(expected["baseline"]);
    const PairedDifference difference = paired_difference(strategy, baseline, 1);
    expect_close(difference.t, expected["t"]);
    expect_close(difference.p, expected["p"]);
    EXPECT_EQ(difference.p_corrected, difference.p);
    expect_close(difference.mean.low, expected["low"]);
    expect_close(difference.mean.high, expected["high"]);
    expect_close(difference.effect, expected["effect"]);
    EXPECT_EQ(difference.mean.method, "Student's t");
    EXPECT_EQ(difference.p_permutation.has_value(), strategy.size() >= 6);
    if (!expected.contains("p_permutation") || !difference.p_permutation) continue;
    expect_close(*difference.p_permutation, expected["p_permutation"]);
  }
}

TEST(PairedDifference, IsStrategyMinusBaseline) {
  const PairedDifference difference = paired_difference(std::vector<double>{1, 2, 4}, std::vector<double>{5, 5, 5}, 1);
  EXPECT_DOUBLE_EQ(difference.mean.mean, -8.0 / 3);
  EXPECT_LT(difference.t, 0);
  EXPECT_LT(difference.effect, 0);
}

TEST(PairedDifference, OfEqualDifferencesHasTheSignFlipTestsP) {
  // In doubles 0.3 − 0.1, 0.4 − 0.2 and 0.8 − 0.6 are three numbers.
  const PairedDifference rounded =
      paired_difference(std::vector<double>{0.3, 0.4, 0.8}, std::vector<double>{0.1, 0.2, 0.6}, 1);
  EXPECT_EQ(rounded.t, kInfinity);
  EXPECT_EQ(rounded.effect, kInfinity);
  EXPECT_EQ(rounded.p, 0.25);
  EXPECT_EQ(rounded.mean.low, rounded.mean.high);
  EXPECT_EQ(rounded.mean.std, 0);
  const PairedDifference lower = paired_difference(std::vector<double>(8, 1), std::vector<double>(8, 2), 1);
  EXPECT_EQ(lower.t, -kInfinity);
  EXPECT_EQ(lower.p, 1.0 / 128);
  EXPECT_EQ(lower.p, lower.p_permutation);
}

TEST(PairedDifference, OfZeroDifferencesShowsNothing) {
  const PairedDifference zero = paired_difference(std::vector<double>{1, 2}, std::vector<double>{1, 2}, 1);
  EXPECT_EQ(zero.t, 0);
  EXPECT_EQ(zero.effect, 0);
  EXPECT_EQ(zero.p, 1);
  EXPECT_EQ(paired_difference(std::vector<double>{0.1 + 0.2, 1}, std::vector<double>{0.3, 1}, 1).p, 1);
}

TEST(PairedDifference, OfOnePairHasNoTest) {
  const PairedDifference one = paired_difference(std::vector<double>{3}, std::vector<double>{1}, 1);
  EXPECT_EQ(one.mean.mean, 2);
  EXPECT_TRUE(std::isnan(one.p) && std::isnan(one.t) && std::isnan(one.effect) && std::isnan(one.mean.low));
  EXPECT_FALSE(one.p_permutation);
  EXPECT_THROW(paired_difference({}, {}, 1), std::invalid_argument);
  EXPECT_THROW(paired_difference(std::vector<double>{1}, std::vector<double>{1, 2}, 1), std::invalid_argument);
}

TEST(Holm, AgreesWithStatsmodels) {
  for (const auto& expected : fixtures("holm")) {
    EXPECT_THAT(holm(numbers(expected["p"])), testing::Pointwise(DoubleEq(), numbers(expected["corrected"])));
  }
}

TEST(Holm, CountsTestsThatCouldNotBeMade) {
  EXPECT_THAT(holm(std::vector{kNaN, 0.01, 0.02}),
              ElementsAre(NanSensitiveDoubleEq(kNaN), DoubleEq(0.03), DoubleEq(0.04)));
  EXPECT_TRUE(holm({}).empty());
}

TEST(SignFlip, ByHand) {
  EXPECT_EQ(sign_flip_p(std::vector<double>{1}), 1);
  EXPECT_EQ(sign_flip_p(std::vector<double>{1, 2, 3}), 0.25);      // ±6
  EXPECT_EQ(sign_flip_p(std::vector<double>{-1, 2, 3}), 0.5);      // ±6, ±4
  EXPECT_EQ(sign_flip_p(std::vector<double>{0, 2, 3}), 0.5);       // ±5, twice each
  EXPECT_EQ(sign_flip_p(std::vector<double>{0.1, 0.2, -0.3}), 1);  // a sum of 0 in decimals
  EXPECT_EQ(sign_flip_p(std::vector<double>(20, 1)), std::exp2(-19));
  EXPECT_THROW(sign_flip_p({}), std::invalid_argument);
  EXPECT_THROW(sign_flip_p(std::vector<double>(21, 1)), std::invalid_argument);
}

TEST(SignFlip, IsMadeOnlyWhereItCanReject) {
  EXPECT_FALSE(sign_flip_can_reject(5, 1));  // 1/16
  EXPECT_TRUE(sign_flip_can_reject(6, 1));   // 1/32 ≤ 0.05
  EXPECT_FALSE(sign_flip_can_reject(6, 3));
  EXPECT_TRUE(sign_flip_can_reject(7, 3));  // 1/64 ≤ 0.0167
  EXPECT_TRUE(sign_flip_can_reject(20, 3));
  EXPECT_FALSE(sign_flip_can_reject(21, 3));
  EXPECT_FALSE(sign_flip_can_reject(7, 0));
  const std::vector<double> six{1, 5, 2, 8, 3, 9}, zeros(6, 0);
  EXPECT_TRUE(paired_difference(six, zeros, 1).p_permutation);
  EXPECT_FALSE(paired_difference(six, zeros, 3).p_permutation);
}

TEST(Ranks, AgreeWithScipy) {
  for (const auto& expected : fixtures("ranks"))
    EXPECT_EQ(ranks(numbers(expected["values"])), numbers(expected["ranks"]));
  EXPECT_THAT(ranks(std::vector{kInfinity, 1.0, kInfinity}), ElementsAre(2.5, 1, 2.5));
}

TEST(PairedTPower, AgreesWithQuadrature) {
  for (const auto& expected : fixtures("power")) {
    const double effect = expected["effect"], level = expected["level"];
    const int64_t pairs = expected["pairs"];
    // The fixture's quadrature is good to about 1e-10.
    EXPECT_NEAR(paired_t_power(effect, pairs, level), expected["power"].get<double>(), 1e-9)
        << "effect " << effect << ", " << pairs << " pairs, level " << level;
    EXPECT_EQ(paired_t_power(effect, pairs, level), paired_t_power(-effect, pairs, level));
  }
}

TEST(PairedTPower, IsTheLevelWithoutAnEffect) {
  EXPECT_NEAR(paired_t_power(0, 5, 0.05), 0.05, 1e-12);
}

TEST(PairsNeeded, AgreesWithScipy) {
  for (const auto& expected : fixtures("pairs_needed")) {
    const double effect = expected["effect"];
    EXPECT_EQ(pairs_needed(effect, expected["level"]), expected["pairs"].get<int64_t>()) << "effect " << effect;
    EXPECT_EQ(pairs_needed(-effect, expected["level"]), expected["pairs"].get<int64_t>());
  }
}

TEST(PairsNeeded, HasNoAnswerForNoOrTinyEffects) {
  EXPECT_EQ(pairs_needed(0, 0.05), std::nullopt);
  EXPECT_EQ(pairs_needed(kNaN, 0.05), std::nullopt);
  EXPECT_EQ(pairs_needed(0.01, 0.05), std::nullopt);
  EXPECT_EQ(pairs_needed(1e-300, 0.05), std::nullopt);
  EXPECT_EQ(pairs_needed(0.5, 0.05, 33), std::nullopt);
  EXPECT_EQ(pairs_needed(0.5, 0.05, 34), 34);  // Cohen's table
}

TEST(PairsNeeded, FallsAsTheEffectGrowsWhateverItsSize) {
  for (const double level : {0.05, 0.05 / 3, 0.05 / 40}) {
    int64_t last = 2000;
    for (double effect = 0.12; effect < 1e6; effect *= 1.07) {
      const auto pairs = pairs_needed(effect, level, 2000);
      ASSERT_TRUE(pairs) << effect;
      EXPECT_LE(*pairs, last) << effect;
      EXPECT_GE(*pairs, 2);
      last = *pairs;
    }
    EXPECT_LE(pairs_needed(kInfinity, level), 3);
  }
}

}  // namespace
}  // namespace sgan
