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

TEST(Secants, OfALinearCriticAreItsNorm) {
  const auto points = torch::randn({300, 1, 2, 2}, make_generator(1, torch::kCPU), torch::kDouble);
  const auto weight = torch::tensor({1.0, -2.0, 0.0, 2.0}, torch::kDouble);
  torch::NoGradGuard no_grad;
  const auto secants = secants_at([&](const torch::Tensor& x) { return torch::mv(x.flatten(1), weight); }, points);
  EXPECT_EQ(secants.sizes(), torch::IntArrayRef({300}));
  EXPECT_TRUE(torch::allclose(secants, torch::full_like(secants, 3), 0, 1e-8));
}

// 2x − ℓ(x) + ℓ(−x) is 0.8 x, and on the kink autograd multiplies derivatives that no neighbourhood shares.
TEST(Secants, AreNotFooledByAKink) {
  const auto critic = [](const torch::Tensor& x) {
    const auto leaky = [](const torch::Tensor& y) { return torch::where(y > 0, y, 0.2 * y); };
    return (2 * x - leaky(x) + leaky(-x)).flatten();
  };
  const auto points = torch::tensor({{0.0}, {1.0}}, torch::kDouble);
  EXPECT_NEAR(slopes_at(critic, points)[0].item<double>(), 1.6, 1e-12);
  EXPECT_NEAR(secants_at(critic, points).max().item<double>(), 0.8, 1e-9);
}

// Of a critic that is all but flat, the quotients of short steps are rounding noise and do not count.
TEST(Secants, OfAFlatCriticAreNotItsRounding) {
  const auto weight = 1e-12 * torch::tensor({1.0, -2.0, 0.0, 2.0}, torch::kDouble);
  const auto critic = [&](const torch::Tensor& x) { return torch::mv(x.flatten(1), weight) + 1.0 / 3; };
  const auto points = torch::randn({50, 4}, make_generator(1, torch::kCPU), torch::kDouble);
  EXPECT_LE(secants_at(critic, points).max().item<double>(), 3e-12);
}

TEST(SlopesBeside, AreThoseOfTheLinearPiecesNextToAKink) {
  const auto critic = [](const torch::Tensor& x) {
    const auto leaky = [](const torch::Tensor& y) { return torch::where(y > 0, y, 0.2 * y); };
    return (2 * x - leaky(x) + leaky(-x)).flatten();
  };
  const auto points = torch::tensor({{0.0}, {1.0}}, torch::kDouble);
  const auto slopes = slopes_beside(critic, points, make_generator(1, torch::kCPU));
  EXPECT_NEAR(slopes[0].item<double>(), 0.8, 1e-12);
  EXPECT_NEAR(slopes[1].item<double>(), 0.8, 1e-12);
}

// A jump has no largest difference quotient; the shortest step finds the steepest.
TEST(Secants, SeeAJumpThatSlopesDoNot) {
  const auto critic = [](const torch::Tensor& x) { return (0.5 * x + (x > 0).to(torch::kDouble)).flatten(); };
  const auto points = torch::tensor({{1e-9}, {2.0}}, torch::kDouble);
  EXPECT_NEAR(slopes_at(critic, points).max().item<double>(), 0.5, 1e-12);
  EXPECT_GT(secants_at(critic, points).max().item<double>(), 1e5);
}

}  // namespace
}  // namespace sgan
