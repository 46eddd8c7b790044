#include "lipschitz/frequency_bounds.h"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "lipschitz/reshape_bounds.h"
#include "tests/lipschitz/random_layers.h"

namespace sgan {
namespace {

// The circular convolution as a matrix: the image is repeated to the right and below as far as the kernel reads.
double dense_circular_norm(const torch::Tensor& kernel, int64_t grid) {
  const int64_t values = kernel.size(1) * grid * grid;
  const auto units = torch::eye(values, torch::kDouble).view({values, kernel.size(1), grid, grid});
  const auto wrapped = torch::arange(grid + kernel.size(2) - 1) % grid;
  const auto repeated = units.index_select(2, wrapped).index_select(3, wrapped);
  return torch::linalg_svdvals(torch::conv2d(repeated, kernel).flatten(1))[0].item<double>();
}

TEST(FrequencyBounds, CircularNormIsThatOfTheCircularConvolution) {
  const auto random = make_generator(1, torch::kCPU);
  for (const int64_t grid : {1, 2, 3, 4, 7}) {
    for (const int64_t kernel : {1, 2, 3, 5}) {  // larger than the grid too
      for (const auto& [in, out] : {std::pair<int64_t, int64_t>{2, 3}, {3, 1}}) {
        const auto weight = torch::randn({out, in, kernel, kernel}, random, torch::kDouble);
        const double exact = dense_circular_norm(weight, grid);
        EXPECT_NEAR(circular_norm(weight, grid), exact, 1e-9 * exact) << "kernel " << kernel << " on " << grid;
        const double gram = circular_norm_by_gram_iteration(weight, grid, 14);
        EXPECT_GE(gram, exact * (1 - 1e-12));
        EXPECT_LE(gram, exact * 1.001);
      }
    }
  }
}

TEST(FrequencyBounds, OnTheCertifiedGridAndEveryLargerOneIsAnUpperBound) {
  for (uint64_t i = 0; i < 300; ++i) {
    const auto [geometry, weight] = random_layer(i);
    const auto t = norm_equivalent_convolution(weight, geometry);
    const double truth = dense_norm(weight, geometry);
    const auto polyphase = polyphase_kernel(t.weight, t.stride);
    const int64_t least = certified_grid(t);
    for (int64_t grid = least; grid < least + 4; ++grid) {
      EXPECT_GE(circular_norm(polyphase, grid), truth * (1 - 1e-9)) << describe(geometry) << " on " << grid;
    }
    EXPECT_GE(stride_free_bound(t), truth * (1 - 1e-9)) << describe(geometry);
    EXPECT_GE(polyphase_gram_bound(t, 3), truth * (1 - 1e-9)) << describe(geometry);
  }
}

TEST(FrequencyBounds, OnTheGridOfTheImageIsNoUpperBound) {
  // The kernel (1 0 −1) has the symbol 2i sin θ, which is zero at both frequencies of two pixels; zero padding turns
  // (x, y) into (−y, x). On the certified grid of three pixels the symbol reaches 2 sin 60°.
  const OperatorGeometry geometry{OperatorKind::conv, 1, 1, 3, 1, 1, 2};
  auto weight = torch::zeros(geometry.weight_shape(), torch::kDouble);
  weight[0][0][1][0] = 1;
  weight[0][0][1][2] = -1;
  const auto t = norm_equivalent_convolution(weight, geometry);
  EXPECT_NEAR(dense_norm(weight, geometry), 1, 1e-15);
  EXPECT_NEAR(circular_norm(weight, 2), 0, 1e-15);
  EXPECT_EQ(certified_grid(t), 3);
  EXPECT_NEAR(polyphase_bound(t), std::sqrt(3.0), 1e-9);
}

TEST(FrequencyBounds, OnTheGridOfTheImageIsExceededByRandomKernelsToo) {
  double most = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const OperatorGeometry geometry{OperatorKind::conv, 2, 2, 3, 1, 1, 6};
    const auto weight = torch::randn(geometry.weight_shape(), make_generator(seed, torch::kCPU), torch::kDouble);
    most = std::max(most, dense_norm(weight, geometry) / circular_norm(weight, geometry.in_size));
  }
  EXPECT_GT(most, 1.001);
}

TEST(FrequencyBounds, OneLessThanTheCertifiedGridIsNoUpperBound) {
  // Per stride, so that no smaller grid would do.
  for (const int64_t stride : {1, 2, 3}) {
    bool exceeded = false;
    for (uint64_t i = 0; i < 3000 && !exceeded; ++i) {
      const auto [geometry, weight] = random_layer(i);
      const auto t = norm_equivalent_convolution(weight, geometry);
      const int64_t grid = certified_grid(t) - 1;
      if (t.stride != stride || grid < 1 || t.weight.numel() > 60) continue;
      exceeded = dense_norm(weight, geometry) > circular_norm(polyphase_kernel(t.weight, stride), grid) * 1.001;
    }
    EXPECT_TRUE(exceeded) << "stride " << stride;
  }
}

TEST(FrequencyBounds, PolyphaseIsFarTighterThanTheOthersUnderStride) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const OperatorGeometry geometry{OperatorKind::conv, 4, 6, 4, 2, 1, 12};
    const auto weight = torch::randn(geometry.weight_shape(), make_generator(seed, torch::kCPU));
    const auto t = norm_equivalent_convolution(weight, geometry);
    const double truth = dense_norm(weight, geometry);
    EXPECT_LT(polyphase_bound(t), 1.1 * truth);
    EXPECT_GT(overlap_bound(t), 1.2 * truth);
    EXPECT_GT(stride_free_bound(t), 1.2 * truth);
  }
}

}  // namespace
}  // namespace sgan
