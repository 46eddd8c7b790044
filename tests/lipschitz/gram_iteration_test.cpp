#include "lipschitz/gram_iteration.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <cmath>

#include "run/random_streams.h"

namespace sgan {
namespace {

TEST(GramIteration, LiesBetweenTheSvdAndItsFactorOfTheRank) {
  for (const auto dtype : {torch::kDouble, torch::kComplexDouble}) {
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{12, 30}, {30, 12}, {1, 5}, {16, 16}}) {
      const auto matrices = torch::randn({4, rows, columns}, make_generator(1, torch::kCPU), dtype);
      const auto sigma = torch::linalg_svdvals(matrices).select(1, 0);
      const auto rank = static_cast<double>(std::min(rows, columns));
      for (const int64_t iterations : {0, 1, 3, 6, 12}) {
        const auto ratio = gram_iteration_bound(matrices, iterations) / sigma;
        EXPECT_GE(ratio.min().item<double>(), 1 - 1e-12);
        EXPECT_LE(ratio.max().item<double>(), std::pow(rank, std::exp2(-(iterations + 1))) * (1 + 1e-12)) << iterations;
      }
    }
  }
}

TEST(GramIteration, OfRank512IsWithinTheStatedFactors) {
  // Equal singular values are the worst case: 512^(1/64) and 512^(1/512).
  const auto identity = torch::eye(512, torch::kDouble).unsqueeze(0);
  EXPECT_NEAR(gram_iteration_bound(identity, 5).item<double>(), 1.1024, 1e-4);
  EXPECT_NEAR(gram_iteration_bound(identity, 8).item<double>(), 1.0123, 1e-4);
}

TEST(GramIteration, NeitherOverflowsNorUnderflows) {
  auto matrices = torch::ones({3, 2, 2}, torch::kDouble);
  matrices[0] *= 1e-100;
  matrices[1] *= 0;
  matrices[2] *= 1e100;
  const auto bound = gram_iteration_bound(matrices, 20);
  EXPECT_NEAR(bound[0].item<double>() / 2e-100, 1, 1e-12);
  EXPECT_EQ(bound[1].item<double>(), 0);
  EXPECT_NEAR(bound[2].item<double>() / 2e100, 1, 1e-12);
}

}  // namespace
}  // namespace sgan
