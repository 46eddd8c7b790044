#include "lipschitz/reshaped_sigma.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "run/random_streams.h"

namespace sgan {
namespace {

torch::Tensor normal(const std::vector<int64_t>& shape, torch::ScalarType dtype) {
  return torch::randn(shape, make_generator(1, torch::kCPU), dtype);
}

TEST(ReshapedSigma, MatchesTheSvd) {
  struct Shape {
    std::vector<int64_t> sizes;
    int64_t output_dim;
  };
  for (const auto dtype : {torch::kFloat, torch::kDouble}) {
    for (const auto& [sizes, output_dim] : {Shape{{40, 6}, 0}, Shape{{6, 40}, 0}, Shape{{1, 9}, 0}, Shape{{9, 1}, 0},
                                            Shape{{1, 1}, 0}, Shape{{8, 3, 4, 4}, 0}, Shape{{5, 4, 4, 4}, 1}}) {
      const auto weight = normal(sizes, dtype);
      const auto matrix = (output_dim == 1 ? weight.transpose(0, 1) : weight).reshape({sizes[output_dim], -1});
      const auto exact = torch::linalg_svdvals(matrix.to(torch::kDouble))[0].item<double>();
      const auto sigma = reshaped_sigma(weight, output_dim);
      EXPECT_EQ(sigma.dtype(), torch::kDouble);
      EXPECT_NEAR(sigma.item<double>(), exact, 1e-13 * exact) << sizes << " " << dtype;
    }
  }
}

TEST(ReshapedSigma, OfDeficientMatrices) {
  const auto left = normal({7}, torch::kDouble);
  const auto right = normal({9}, torch::kDouble);
  const auto product = (left.norm() * right.norm()).item<double>();
  EXPECT_NEAR(reshaped_sigma(torch::outer(left, right), 0).item<double>(), product, 1e-13 * product);
  EXPECT_EQ(reshaped_sigma(torch::zeros({4, 3, 2, 2}), 0).item<double>(), 0);
  // The square of the smallest normal float32 is far inside float64's range.
  EXPECT_NEAR(reshaped_sigma(torch::full({1, 1}, 1e-30), 0).item<double>() / 1e-30, 1, 1e-6);
}

}  // namespace
}  // namespace sgan
