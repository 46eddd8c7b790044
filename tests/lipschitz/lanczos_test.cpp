#include "lipschitz/lanczos.h"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include "tests/lipschitz/random_layers.h"

namespace sgan {
namespace {

double attained(const RandomLayer& layer, const LanczosOptions& options) {
  return attained_norm(norm_equivalent_convolution(layer.weight, layer.geometry), options);
}

TEST(Lanczos, AttainsTheDenseNormFromAnySeed) {
  for (uint64_t i = 0; i < 150; ++i) {
    const auto layer = random_layer(i);
    LanczosOptions options;
    options.seed = i + 1000;
    const double truth = dense_norm(layer.weight, layer.geometry);
    EXPECT_NEAR(attained(layer, options), truth, 1e-7 * truth) << describe(layer.geometry);
  }
}

TEST(Lanczos, ThatIsCutShortIsBelowTheNormAndAheadOfPowerIteration) {
  for (uint64_t i = 0; i < 50; ++i) {
    const auto layer = random_layer(i);
    const auto t = norm_equivalent_convolution(layer.weight, layer.geometry);
    const double truth = dense_norm(layer.weight, layer.geometry);
    if (gram_side(t) < 20) continue;
    for (const int64_t steps : {1, 2, 5, 10}) {
      LanczosOptions options;
      options.max_steps = steps;
      options.tolerance = 0;
      const double lower = attained(layer, options);
      EXPECT_LE(lower, truth * (1 + 1e-12));

      auto gram = gram_matrix(t);
      auto vector = torch::randn({gram.size(0)}, make_generator(0, torch::kCPU), torch::kDouble);
      // The Gram matrix has positions before channels, the process images: start both at the same image.
      const int64_t channels = t.in_values() <= t.out_values() ? t.weight.size(1) : t.weight.size(0);
      vector = vector.view({channels, -1}).t().flatten();
      for (int64_t step = 1; step < steps; ++step) vector = torch::mv(gram, vector / vector.norm());
      const double power = (vector.dot(torch::mv(gram, vector)) / vector.dot(vector)).sqrt().item<double>();
      EXPECT_GE(lower, power * (1 - 1e-9)) << describe(layer.geometry) << " after " << steps;
    }
  }
}

TEST(Lanczos, OfTheZeroMapIsZero) {
  const OperatorGeometry geometry{OperatorKind::conv, 2, 3, 3, 1, 1, 5};
  EXPECT_EQ(attained({geometry, torch::zeros(geometry.weight_shape())}, {}), 0);
}

}  // namespace
}  // namespace sgan
