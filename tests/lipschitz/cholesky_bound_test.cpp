#include "lipschitz/cholesky_bound.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/lipschitz/random_layers.h"

namespace sgan {
namespace {

TEST(CholeskyBound, IsAMillionthAboveALowerBoundThatIsTheNorm) {
  const auto [geometry, weight] = random_layer(6);
  const double truth = dense_norm(weight, geometry);
  const auto gram = gram_matrix(norm_equivalent_convolution(weight, geometry));
  EXPECT_NEAR(cholesky_bound(gram.clone(), truth, 2 * truth).value(), truth * (1 + 1e-6), 1e-10 * truth);
}

TEST(CholeskyBound, NeverFallsBelowTheNormHoweverLowTheLowerBound) {
  const auto [geometry, weight] = random_layer(6);
  const double truth = dense_norm(weight, geometry);
  const auto gram = gram_matrix(norm_equivalent_convolution(weight, geometry));
  for (const double share : {0.3, 0.9, 0.99, 0.99999, 1 - 1e-9}) {
    const double lower = share * truth;
    const auto bound = cholesky_bound(gram.clone(), lower, 100 * truth);
    ASSERT_TRUE(bound.has_value());
    EXPECT_GE(*bound, truth);
    EXPECT_LE(*bound, lower * (1 + 11 * std::max(1e-6, 1 / share - 1)));
    EXPECT_FALSE(cholesky_bound(gram.clone(), lower, lower * (1 + 1e-7)).has_value());
  }
}

TEST(CholeskyBound, OfTheZeroMatrixIsNone) {
  EXPECT_FALSE(cholesky_bound(torch::zeros({3, 3}, torch::kDouble), 0, 1).has_value());
}

}  // namespace
}  // namespace sgan
