#include "evaluation/assignment.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "run/random_streams.h"

namespace sgan {
namespace {

using testing::ElementsAre;

double cost_of(const torch::Tensor& costs, const std::vector<int64_t>& columns) {
  double sum = 0;
  for (size_t row = 0; row < columns.size(); ++row) {
    sum += costs[static_cast<int64_t>(row)][columns[row]].item<double>();
  }
  return sum;
}

TEST(Assignment, OfASmallTableIsTheOneByHand) {
  // 2 + 2 + 2; taking each row's cheapest free column in turn would cost 1 + 3 + 4.
  const auto costs = torch::tensor({{1.0, 2.0, 9.0}, {2.0, 6.0, 3.0}, {9.0, 4.0, 2.0}}, torch::kDouble);
  EXPECT_THAT(cheapest_assignment(costs), ElementsAre(1, 0, 2));
}

TEST(Assignment, IsNeverDearerThanAnyPermutation) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto size = static_cast<int64_t>(1 + seed % 7);
    auto costs = torch::randn({size, size}, make_generator(seed, torch::kCPU), torch::kDouble);
    if (seed % 3 == 0) costs = costs.round();  // ties
    std::vector<int64_t> permutation(static_cast<size_t>(size));
    std::iota(permutation.begin(), permutation.end(), 0);
    double least = std::numeric_limits<double>::infinity();
    do {
      least = std::min(least, cost_of(costs, permutation));
    } while (std::ranges::next_permutation(permutation).found);
    auto found = cheapest_assignment(costs);
    EXPECT_NEAR(cost_of(costs, found), least, 1e-12) << seed;
    std::ranges::sort(found);
    EXPECT_EQ(found, permutation) << "each column once";
  }
}

TEST(Assignment, RefusesWhatIsNoSquareOfNumbers) {
  EXPECT_THROW(cheapest_assignment(torch::zeros({2, 3})), c10::Error);
  EXPECT_THROW(cheapest_assignment(torch::full({2, 2}, NAN)), c10::Error);
}

// On a line, matching in order is optimal.
TEST(ExactW1, OfPointsOnALineMatchesThemInOrder) {
  const auto a = torch::randn({200, 1}, make_generator(1, torch::kCPU), torch::kDouble);
  const auto b = 2 + 3 * torch::randn({200, 1}, make_generator(2, torch::kCPU), torch::kDouble);
  const auto sorted = [](const torch::Tensor& x) { return std::get<0>(x.flatten().sort()); };
  EXPECT_NEAR(exact_w1(a, b), (sorted(a) - sorted(b)).abs().mean().item<double>(), 1e-12);
}

TEST(ExactW1, OfATranslationIsItsLength) {
  const auto a = torch::randn({60, 3, 2}, make_generator(3, torch::kCPU), torch::kDouble);
  EXPECT_NEAR(exact_w1(a, a + 0.5), 0.5 * std::sqrt(6.0), 1e-12);
  EXPECT_EQ(exact_w1(a, a.flip(0)), 0);
  EXPECT_THROW(exact_w1(a, a.slice(0, 1)), c10::Error);
}

}  // namespace
}  // namespace sgan
