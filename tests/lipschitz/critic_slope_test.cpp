#include "lipschitz/critic_slope.h"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <cmath>

#include "run/random_streams.h"

namespace sgan {
namespace {

TEST(CriticSlope, OfALinearCriticIsItsNorm) {
  const auto points = torch::randn({5, 1, 2, 2}, make_generator(1, torch::kCPU));
  const auto weight = torch::tensor({1.0F, -2.0F, 0.0F, 2.0F});
  torch::NoGradGuard no_grad;  // callers hold one; the slope needs none of them to think of it
  const auto slope = critic_slope([&](const torch::Tensor& x) { return torch::mv(x.flatten(1), weight); }, points);
  EXPECT_EQ(slope.mean.item<double>(), 3);
  EXPECT_EQ(slope.max.item<double>(), 3);
  EXPECT_FALSE(slope.max.requires_grad());
}

TEST(CriticSlope, OfAQuadraticCriticIsThatOfEachPoint) {
  // D(x) = ½‖x‖² has ∇D = x: slopes 5, 1 and 0.
  const auto points = torch::tensor({{3.0, 4.0}, {0.0, -1.0}, {0.0, 0.0}}, torch::kDouble);
  const auto slope = critic_slope([](const torch::Tensor& x) { return 0.5 * x.square().sum(1); }, points);
  EXPECT_NEAR(slope.mean.item<double>(), 2, 1e-15);
  EXPECT_NEAR(slope.max.item<double>(), 5, 1e-15);
}

}  // namespace
}  // namespace sgan
