#include "lipschitz/reshape_bounds.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lipschitz/reshaped_sigma.h"
#include "tests/lipschitz/random_layers.h"

namespace sgan {
namespace {

Convolution convolution(const OperatorGeometry& geometry, const torch::Tensor& weight) {
  return norm_equivalent_convolution(weight, geometry);
}

// √(overlap): how far the overlap bound is above σ(R).
double overlap_factor(int64_t kernel, int64_t stride, int64_t padding, int64_t size) {
  const OperatorGeometry geometry{OperatorKind::conv, 2, 3, kernel, stride, padding, size};
  const auto weight = torch::randn(geometry.weight_shape(), make_generator(1, torch::kCPU));
  return overlap_bound(convolution(geometry, weight)) / reshaped_sigma(weight, 0).item<double>();
}

TEST(ReshapeBounds, OverlapFactorIsTheSquareRootOfTheWindowsThatShareAPixel) {
  EXPECT_NEAR(overlap_factor(3, 1, 1, 8), 3, 1e-14);
  EXPECT_NEAR(overlap_factor(4, 2, 1, 8), 2, 1e-14);
  EXPECT_NEAR(overlap_factor(1, 1, 0, 8), 1, 1e-14);
  EXPECT_NEAR(overlap_factor(3, 2, 1, 8), 2, 1e-14);
  EXPECT_NEAR(overlap_factor(3, 1, 1, 2), 2, 1e-14);  // no more outputs than two
  EXPECT_NEAR(overlap_factor(4, 1, 0, 4), 1, 1e-14);  // one window
}

// The crude certificate of a reshape-normalized sn_cnn discriminator is 3⁴·2³, not 1.
TEST(ReshapeBounds, OverlapFactorsOfThePapersCriticMultiplyTo648) {
  double product = 1;
  for (const auto& [kernel, stride, size] :
       {std::tuple{3, 1, 32}, {4, 2, 32}, {3, 1, 16}, {4, 2, 16}, {3, 1, 8}, {4, 2, 8}, {3, 1, 4}}) {
    product *= overlap_factor(kernel, stride, 1, size);
  }
  EXPECT_NEAR(product, 648, 1e-10);
}

TEST(ReshapeBounds, AreAttainedByAConstantKernelUpToTheBorder) {
  // Ones on many pixels: the norm tends to k² = k·σ(R), so neither factor can be smaller.
  const OperatorGeometry geometry{OperatorKind::conv, 1, 1, 3, 1, 1, 24};
  const auto weight = torch::ones(geometry.weight_shape());
  const double truth = dense_norm(weight, geometry);
  EXPECT_NEAR(overlap_bound(convolution(geometry, weight)), 9, 1e-12);
  EXPECT_NEAR(four_reshapes_bound(convolution(geometry, weight)), 9, 1e-12);
  EXPECT_GT(truth, 8.9);
}

TEST(ReshapeBounds, ReshapedSigmaIsALowerBoundWhereAWindowLiesInside) {
  int claimed = 0;
  for (uint64_t i = 0; i < 400; ++i) {
    const auto [geometry, weight] = random_layer(i);
    if (!reshaped_sigma_is_lower_bound(geometry)) continue;
    ++claimed;
    const double sigma = reshaped_sigma(weight, geometry.output_dim()).item<double>();
    EXPECT_LE(sigma, dense_norm(weight, geometry) * (1 + 1e-12)) << describe(geometry);
  }
  EXPECT_GT(claimed, 100);
}

TEST(ReshapeBounds, ReshapedSigmaExceedsTheNormWhereNoneDoes) {
  for (const OperatorGeometry geometry :
       {OperatorGeometry{OperatorKind::conv, 4, 4, 4, 2, 1, 4}, OperatorGeometry{OperatorKind::conv, 4, 4, 3, 1, 1, 2},
        OperatorGeometry{OperatorKind::conv_transpose, 8, 1, 4, 2, 1, 4}}) {
    EXPECT_FALSE(reshaped_sigma_is_lower_bound(geometry));
    double largest = 0;
    for (uint64_t seed = 0; seed < 40; ++seed) {
      const auto weight = torch::randn(geometry.weight_shape(), make_generator(seed, torch::kCPU));
      largest = std::max(largest,
                         reshaped_sigma(weight, geometry.output_dim()).item<double>() / dense_norm(weight, geometry));
    }
    EXPECT_GT(largest, 1.01) << describe(geometry);
  }
  EXPECT_TRUE(reshaped_sigma_is_lower_bound({OperatorKind::conv, 4, 4, 4, 2, 1, 6}));
  EXPECT_TRUE(reshaped_sigma_is_lower_bound({OperatorKind::conv, 4, 4, 3, 1, 1, 3}));
}

TEST(ReshapeBounds, PolyphaseKernelIsTheStridedConvolutionOnThePhases) {
  const auto random = make_generator(1, torch::kCPU);
  for (const int64_t stride : {1, 2, 3}) {
    for (const int64_t kernel : {1, 2, 3, 4, 5}) {
      const auto weight = torch::randn({2, 3, kernel, kernel}, random, torch::kDouble);
      const auto image = torch::randn({1, 3, 6 * stride, 6 * stride}, random, torch::kDouble);
      const auto polyphase = polyphase_kernel(weight, stride);
      const auto outputs = torch::conv2d(torch::pixel_unshuffle(image, stride), polyphase);
      const auto expected = torch::conv2d(image, weight, {}, stride);
      ASSERT_GE(expected.size(2), outputs.size(2));
      EXPECT_TRUE(
          torch::allclose(expected.narrow(2, 0, outputs.size(2)).narrow(3, 0, outputs.size(2)), outputs, 1e-12, 1e-12));
    }
  }
}

}  // namespace
}  // namespace sgan
