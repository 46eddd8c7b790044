#include "losses/weight_penalties.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "losses/penalties.h"
#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

using torch::autograd::grad;

torch::Tensor normal(int64_t rows, int64_t columns, uint64_t seed) {
  return torch::randn({rows, columns}, make_generator(seed, torch::kCPU), torch::kDouble);
}

torch::Tensor largest_singular_value(const torch::Tensor& matrix) {
  return torch::linalg_svdvals(matrix).max();
}

TEST(SpectralPenalty, IsHalfTheSumOfSquaredSingularValues) {
  const auto diagonal = torch::tensor({{3.0, 0.0, 0.0}, {0.0, -4.0, 0.0}}, torch::kDouble);
  const auto row = torch::tensor({{1.0, 2.0, 2.0}}, torch::kDouble);
  EXPECT_NEAR(spectral_penalty({diagonal}).item<double>(), 8, 1e-13);
  EXPECT_NEAR(spectral_penalty({diagonal, row, diagonal.t()}).item<double>(), 8 + 4.5 + 8, 1e-13);

  const auto wide = normal(5, 9, 1);
  const auto tall = normal(9, 5, 2);
  const auto expected = (largest_singular_value(wide).square() + largest_singular_value(tall).square()) / 2;
  EXPECT_TRUE(close(spectral_penalty({wide, tall}), expected, 1e-13));
  EXPECT_TRUE(close(spectral_penalty({wide.to(torch::kFloat), tall.to(torch::kFloat)}), expected, 1e-6));
}

TEST(OrthogonalPenalty, IsTheSquareOfTheInnerProductsOfRows) {
  // Rows (1, 2), (3, -1), (0, 5): inner products 1, 10, -5, each twice; their lengths cost nothing.
  const auto matrix = torch::tensor({{1.0, 2.0}, {3.0, -1.0}, {0.0, 5.0}}, torch::kDouble);
  EXPECT_NEAR(orthogonal_penalty({matrix}).item<double>(), 2 * (1 + 100 + 25), 1e-12);
  const auto orthogonal = torch::tensor({{0.0, 7.0}, {0.1, 0.0}}, torch::kDouble);
  EXPECT_EQ(orthogonal_penalty({orthogonal}).item<double>(), 0);
  EXPECT_NEAR(orthogonal_penalty({matrix, orthogonal, matrix}).item<double>(), 504, 1e-12);
}

class EveryWeightPenalty : public testing::TestWithParam<PenaltyKind> {};

TEST_P(EveryWeightPenalty, GradientMatchesFiniteDifferences) {
  const auto value = penalty(GetParam()).on_weights;
  for (const auto& [rows, columns] : {std::pair{4, 7}, {7, 4}}) {
    const auto matrix = normal(rows, columns, 1).requires_grad_(true);
    const auto other = normal(3, 5, 2).requires_grad_(true);
    const auto direction = normal(rows, columns, 3);
    const auto gradients = grad({value({matrix, other})}, {matrix, other});
    constexpr double kStep = 1e-5;
    const auto numeric =
        (value({matrix.detach() + kStep * direction}) - value({matrix.detach() - kStep * direction})) / (2 * kStep);
    EXPECT_TRUE(close((gradients[0] * direction).sum(), numeric, 1e-8));
    EXPECT_TRUE(torch::equal(gradients[1], grad({value({other})}, {other})[0]));
  }
}

TEST_P(EveryWeightPenalty, OfAZeroWeightIsZeroWithAFiniteGradient) {
  for (const auto dtype : {torch::kFloat, torch::kDouble}) {
    const auto zero = torch::zeros({3, 4}, dtype).requires_grad_(true);
    const auto value = penalty(GetParam()).on_weights({zero});
    EXPECT_EQ(value.item<double>(), 0);
    EXPECT_EQ(value.scalar_type(), dtype);
    EXPECT_TRUE(torch::equal(grad({value}, {zero})[0], torch::zeros({3, 4}, dtype)));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryWeightPenalty, testing::Values(PenaltyKind::spectral, PenaltyKind::orthogonal),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace sgan
