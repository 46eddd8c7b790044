#include "lipschitz/operator_norm.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "configs/error.h"
#include "tests/lipschitz/random_layers.h"

namespace sgan {
namespace {

constexpr double kRounding = 1e-12;

BracketOptions bounds_only() {
  BracketOptions options;
  options.exact_side = 0;
  options.cholesky_side = 0;
  return options;
}

TEST(OperatorNorm, LowerIsAtMostTheDenseSvdAndEveryUpperIsAtLeast) {
  auto options = bounds_only();
  options.cholesky_side = 4096;
  options.every_bound = true;
  options.gram_iterations = 10;
  std::vector<double> looseness;
  for (uint64_t i = 0; i < 600; ++i) {
    const auto [geometry, weight] = random_layer(i);
    const double truth = dense_norm(weight, geometry);
    const auto norm = bracket_operator_norm(weight, geometry, options);
    EXPECT_LE(norm.lower.value, truth * (1 + kRounding)) << describe(geometry);
    EXPECT_GE(norm.lower.value, truth * (1 - 1e-6)) << describe(geometry);
    EXPECT_FALSE(norm.exact);
    for (const auto& [method, value] : norm.uppers) {
      EXPECT_GE(value, truth) << method << " of " << describe(geometry);  // inflated against all rounding
      EXPECT_GE(value, norm.upper.value);
    }
    EXPECT_LE(norm.upper.value, truth * (1 + 1.1e-6)) << describe(geometry);

    // Where windows do not overlap the bounds are the norm, so those layers would flatter the median.
    const auto image = geometry.kind == OperatorKind::conv ? geometry.in_size : geometry.out_size();
    if (image < 2 * geometry.kernel || geometry.kernel <= geometry.stride) continue;
    looseness.push_back(bracket_operator_norm(weight, geometry, bounds_only()).upper.value / truth);
  }
  ASSERT_GT(looseness.size(), 100U);
  std::ranges::sort(looseness);
  const double median = looseness[looseness.size() / 2];
  RecordProperty("median_looseness", std::to_string(median));
  fmt::print("upper / true over {} layers without the dense routes: median {:.4f}, largest {:.4f}\n", looseness.size(),
             median, looseness.back());
  EXPECT_LE(median, 1.08);
}

TEST(OperatorNorm, OfSmallLayersIsExact) {
  for (uint64_t i = 0; i < 100; ++i) {
    const auto [geometry, weight] = random_layer(i);
    const double truth = dense_norm(weight, geometry);
    const auto norm = bracket_operator_norm(weight, geometry);
    EXPECT_TRUE(norm.exact);
    EXPECT_EQ(norm.upper.method, "exact dense");
    EXPECT_NEAR(norm.lower.value, truth, 1e-12 * truth) << describe(geometry);
    EXPECT_NEAR(norm.upper.value, truth * (1 + 1e-9), 1e-12 * truth) << describe(geometry);
  }
}

TEST(OperatorNorm, OfLinearLayersIsTheLargestSingularValue) {
  for (const auto& [in, out] : {std::pair<int64_t, int64_t>{300, 7}, {7, 300}, {2000, 1}, {1, 1}}) {
    const OperatorGeometry geometry{OperatorKind::linear, in, out};
    const auto weight = torch::randn({out, in}, make_generator(3, torch::kCPU));
    const double truth = torch::linalg_svdvals(weight.to(torch::kDouble))[0].item<double>();
    const auto norm = bracket_operator_norm(weight, geometry);
    EXPECT_TRUE(norm.exact);
    EXPECT_TRUE(norm.reshaped_is_lower);
    EXPECT_EQ(norm.upper.method, "exact svd");
    EXPECT_NEAR(norm.lower.value, truth, 1e-12 * truth);
    EXPECT_NEAR(norm.upper.value, truth, 2e-9 * truth);
  }
}

TEST(OperatorNorm, OfZeroWeightsIsZero) {
  for (const auto kind : {OperatorKind::linear, OperatorKind::conv, OperatorKind::conv_transpose}) {
    OperatorGeometry geometry{kind, 3, 2};
    if (kind != OperatorKind::linear) geometry = {kind, 3, 2, 4, 2, 1, 6};
    for (auto options : {BracketOptions{}, bounds_only()}) {
      options.gram_iterations = 10;
      const auto norm = bracket_operator_norm(torch::zeros(geometry.weight_shape()), geometry, options);
      EXPECT_EQ(norm.lower.value, 0);
      for (const auto& bound : norm.uppers) EXPECT_EQ(bound.value, 0) << bound.method;
    }
  }
}

TEST(OperatorNorm, WithoutTheDenseRoutesMeetsWhereWindowsDoNotOverlap) {
  // A pointwise convolution is its matrix on every pixel.
  const OperatorGeometry geometry{OperatorKind::conv, 5, 8, 1, 1, 0, 7};
  const auto weight = torch::randn(geometry.weight_shape(), make_generator(1, torch::kCPU));
  const auto norm = bracket_operator_norm(weight, geometry, bounds_only());
  EXPECT_NEAR(norm.lower.value, norm.reshaped, 1e-9 * norm.reshaped);
  EXPECT_NEAR(norm.upper.value, norm.reshaped, 2e-9 * norm.reshaped);
}

TEST(OperatorNorm, ScalesWithTheWeight) {
  const auto [geometry, weight] = random_layer(2);
  const auto one = bracket_operator_norm(weight, geometry, bounds_only());
  for (const double scale : {1e-30, 1e30}) {
    const auto scaled = bracket_operator_norm(weight.to(torch::kDouble) * scale, geometry, bounds_only());
    EXPECT_NEAR(scaled.lower.value / scale, one.lower.value, 1e-8 * one.lower.value);
    EXPECT_NEAR(scaled.upper.value / scale, one.upper.value, 1e-8 * one.upper.value);
  }
}

TEST(OperatorNorm, OfTheSameWeightIsTheSameNumber) {
  const auto [geometry, weight] = random_layer(4);
  const auto first = bracket_operator_norm(weight, geometry, bounds_only());
  const auto second = bracket_operator_norm(weight, geometry, bounds_only());
  EXPECT_EQ(first.lower.value, second.lower.value);
  EXPECT_EQ(first.upper.value, second.upper.value);
}

TEST(OperatorNorm, RefusesWeightsThatAreNotFinite) {
  const OperatorGeometry geometry{OperatorKind::conv, 1, 1, 3, 1, 1, 4};
  auto weight = torch::ones(geometry.weight_shape());
  weight[0][0][1][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(bracket_operator_norm(weight, geometry), UserError);
  EXPECT_THROW(bracket_operator_norm(torch::ones({1, 1, 2, 2}), geometry), c10::Error);
}

}  // namespace
}  // namespace sgan
