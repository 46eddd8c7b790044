#include "evaluation/moments.h"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <cmath>
#include <vector>

#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

TEST(Moments, AreTheExactOnes) {
  const Tensors stored = load_fixture("metrics");
  for (const std::string name : {"regular", "few_rows", "constant_features", "large_offset"}) {
    SCOPED_TRACE(name);
    const std::string prefix = "frechet." + name + ".";
    const Moments moments = moments_of(stored.at(prefix + "a"));
    EXPECT_EQ(moments.count, stored.at(prefix + "a").size(0));
    EXPECT_TRUE(close(moments.mean, stored.at(prefix + "mean_a"), 1e-13));
    EXPECT_TRUE(close(moments.covariance, stored.at(prefix + "covariance_a"), 1e-13));
  }
}

// In float64, E[xx] − μμ would be wrong in the fourth digit, and in the float32 of the features in the first.
TEST(Moments, AMeanLargeBesideTheSpreadCostsNoDigits) {
  const int64_t rows = 4000;
  auto features = torch::full({rows, 2}, 1e6F);
  features.slice(0, 0, rows, 2) += 1;
  features.slice(0, 1, rows, 2) -= 1;
  const Moments moments = moments_of(features);
  EXPECT_TRUE(torch::equal(moments.mean, torch::full({2}, 1e6, torch::kDouble)));
  const double variance = static_cast<double>(rows) / static_cast<double>(rows - 1);
  EXPECT_TRUE(close(moments.covariance, torch::full({2, 2}, variance, torch::kDouble), 1e-13));
}

TEST(Moments, DoNotDependOnTheParts) {
  const auto features = 1e4 + torch::randn({3000, 5}, make_generator(1, torch::kCPU), torch::kFloat);
  const Moments whole = moments_of(features);
  for (const auto& sizes : {std::vector<int64_t>{1, 2999}, {0, 1024, 1, 1975}, {7, 2048, 945, 0}}) {
    MomentAccumulator accumulator;
    for (const auto& part : features.split_with_sizes(sizes)) accumulator.add(part);
    EXPECT_EQ(accumulator.count(), 3000);
    EXPECT_TRUE(close(accumulator.moments().mean, whole.mean, 1e-14));
    EXPECT_TRUE(close(accumulator.moments().covariance, whole.covariance, 1e-13));
  }
}

TEST(Moments, StayWhatTheyWereWhenMoreIsAdded) {
  MomentAccumulator accumulator;
  accumulator.add(torch::eye(3));
  const Moments before = accumulator.moments();
  const auto mean = before.mean.clone();
  const auto covariance = before.covariance.clone();
  accumulator.add(torch::ones({2, 3}));
  EXPECT_TRUE(torch::equal(before.mean, mean));
  EXPECT_TRUE(torch::equal(before.covariance, covariance));
}

TEST(Moments, RefuseWhatHasNone) {
  EXPECT_THROW(moments_of(torch::zeros({1, 3})), c10::Error);
  EXPECT_THROW(moments_of(torch::zeros({0, 3})), c10::Error);
  EXPECT_THROW(moments_of(torch::zeros({4})), c10::Error);
  EXPECT_THROW(moments_of(torch::zeros({4, 0})), c10::Error);
  EXPECT_THROW(moments_of(torch::zeros({4, 3}, torch::kLong)), c10::Error);
  EXPECT_THROW(moments_of(torch::full({4, 3}, NAN)), c10::Error);
  EXPECT_THROW(moments_of(torch::full({4, 3}, INFINITY)), c10::Error);
  MomentAccumulator accumulator;
  EXPECT_THROW(accumulator.moments(), c10::Error);
  accumulator.add(torch::zeros({4, 3}));
  EXPECT_THROW(accumulator.add(torch::zeros({4, 2})), c10::Error);
}

}  // namespace
}  // namespace sgan
