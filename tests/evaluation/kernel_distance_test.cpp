#include "evaluation/kernel_distance.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <cmath>

#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

torch::Tensor normal(int64_t rows, int64_t size, uint64_t seed) {
  return torch::randn({rows, size}, make_generator(seed, torch::kCPU), torch::kDouble);
}

// k(1, −1) = 0 and k(1, 1) = 8, so 0 + 0 − 2 · 16 / 4.
TEST(KernelDistance, OfTwoPointsFromThemselvesIsTheOneByHand) {
  const auto points = torch::tensor({{1.0}, {-1.0}});
  EXPECT_DOUBLE_EQ(kernel_distance_of_all(points, points), -8);
}

TEST(KernelDistance, OfAllPairsIsTheReference) {
  const Tensors stored = load_fixture("metrics");
  const auto& a = stored.at("kernel.a");
  const auto& b = stored.at("kernel.b");
  const auto expected = stored.at("kernel.of_all").item<double>();
  EXPECT_NEAR(kernel_distance_of_all(a.slice(0, 0, 70), b), stored.at("kernel.of_70").item<double>(), 1e-12);
  for (const int64_t block : {1, 7, 64, 70, 1024}) {
    EXPECT_NEAR(kernel_distance_of_all(a, b, block), expected, 1e-12) << block;
    EXPECT_NEAR(kernel_distance_of_all(b, a, block), expected, 1e-12) << block;
  }
}

// The fixture draws its subsets from a generator of this seed, in the same way.
TEST(KernelDistance, OverSubsetsIsTheReference) {
  const Tensors stored = load_fixture("metrics");
  const KernelDistance distance =
      kernel_distance(stored.at("kernel.a"), stored.at("kernel.b"), {.subsets = 7, .largest_subset = 20, .seed = 5});
  EXPECT_EQ(distance.subsets, 7);
  EXPECT_EQ(distance.size, 20);
  EXPECT_NEAR(distance.mean, stored.at("kernel.mean").item<double>(), 1e-12);
  EXPECT_NEAR(distance.std, stored.at("kernel.std").item<double>(), 1e-12);
}

// Over all draws of two and two from distributions on three points, the estimate averages to MMD² exactly.
TEST(KernelDistance, IsUnbiased) {
  const auto support = torch::tensor({{-1.0, 0.5}, {0.3, 2.0}, {1.5, -0.7}}, torch::kDouble);
  const auto p = torch::tensor({0.5, 0.3, 0.2}, torch::kDouble);
  for (const auto& q : {p, torch::tensor({0.1, 0.1, 0.8}, torch::kDouble)}) {
    double expectation = 0;
    for (int64_t draw = 0; draw < 81; ++draw) {
      const auto digits = torch::tensor({draw % 3, draw / 3 % 3, draw / 9 % 3, draw / 27});
      const auto from_p = digits.slice(0, 0, 2);
      const auto from_q = digits.slice(0, 2, 4);
      const auto chance = p.index_select(0, from_p).prod() * q.index_select(0, from_q).prod();
      expectation += chance.item<double>() *
                     kernel_distance_of_all(support.index_select(0, from_p), support.index_select(0, from_q));
    }
    const auto kernel = (support.mm(support.t()) / 2 + 1).pow(3);
    const auto squared_mmd = (p - q).dot(kernel.mv(p - q)).item<double>();
    EXPECT_NEAR(expectation, squared_mmd, 1e-12);
  }
}

// The mean over independent pairs of sets, in units of its own standard error.
TEST(KernelDistance, OfEqualDistributionsIsZeroInTheMean) {
  const int64_t draws = 200;
  auto means = torch::empty({draws}, torch::kDouble);
  for (int64_t draw = 0; draw < draws; ++draw) {
    const auto seed = static_cast<uint64_t>(2 * draw);
    means[draw] = kernel_distance(normal(40, 5, seed), normal(60, 5, seed + 1), {.subsets = 4}).mean;
  }
  EXPECT_LT(means.min().item<double>(), 0);
  EXPECT_LT(std::abs(means.mean().item<double>()), 4 * means.std().item<double>() / std::sqrt(draws));
  EXPECT_GT(kernel_distance(normal(40, 5, 1), normal(60, 5, 2) + 1).mean, 10 * means.std().item<double>());
}

TEST(KernelDistance, TakesHalfOfTheSmallerSetOrAThousand) {
  EXPECT_EQ(kernel_distance(normal(41, 3, 1), normal(70, 3, 2)).size, 20);
  EXPECT_EQ(kernel_distance(normal(41, 3, 1), normal(70, 3, 2)).subsets, 100);
  EXPECT_EQ(kernel_distance(normal(3000, 1, 1), normal(2002, 1, 2), {.subsets = 1}).size, 1000);
}

TEST(KernelDistance, FollowsTheSeed) {
  const auto a = normal(50, 3, 1).to(torch::kFloat);
  const auto b = normal(50, 3, 2).to(torch::kFloat);
  EXPECT_EQ(kernel_distance(a, b, {.seed = 1}).mean, kernel_distance(a, b, {.seed = 1}).mean);
  EXPECT_NE(kernel_distance(a, b, {.seed = 1}).mean, kernel_distance(a, b, {.seed = 2}).mean);
}

TEST(KernelDistance, RefusesWhatDoesNotCompare) {
  EXPECT_THROW(kernel_distance(normal(3, 2, 1), normal(9, 2, 2)), c10::Error);
  EXPECT_THROW(kernel_distance(normal(9, 2, 1), normal(9, 3, 2)), c10::Error);
  EXPECT_THROW(kernel_distance(normal(9, 2, 1), normal(9, 2, 2) * NAN), c10::Error);
  EXPECT_THROW(kernel_distance(normal(9, 2, 1), normal(9, 2, 2).to(torch::kLong)), c10::Error);
  EXPECT_THROW(kernel_distance(normal(9, 2, 1), normal(9, 2, 2), {.subsets = 0}), c10::Error);
  EXPECT_THROW(kernel_distance(normal(9, 2, 1), normal(9, 2, 2), {.largest_subset = 1}), c10::Error);
  EXPECT_THROW(kernel_distance_of_all(normal(1, 2, 1), normal(9, 2, 2)), c10::Error);
  EXPECT_THROW(kernel_distance_of_all(normal(9, 2, 1), normal(9, 2, 2), 0), c10::Error);
}

}  // namespace
}  // namespace sgan
