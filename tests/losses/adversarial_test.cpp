#include "losses/adversarial.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <string>

#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

class EveryLoss : public testing::TestWithParam<std::pair<LossKind, std::string_view>> {};

TEST_P(EveryLoss, MatchesPyTorch) {
  const auto stored = load_fixture("losses");
  const auto& [kind, name] = GetParam();
  const auto& loss = adversarial_loss(kind);
  EXPECT_EQ(loss.kind, kind);
  for (const std::string side : {"d", "g"}) {
    const auto real = stored.at("real").clone().requires_grad_(true);
    const auto fake = stored.at("fake").clone().requires_grad_(true);
    const auto value = side == "d" ? loss.discriminator(real, fake) : loss.generator(real, fake);
    const auto gradients =
        torch::autograd::grad({value}, {real, fake}, {}, /*retain_graph=*/false, /*create_graph=*/false,
                              /*allow_unused=*/true);
    const auto key = std::string(name) + "." + side;
    EXPECT_TRUE(close(value, stored.at(key), 1e-12)) << key;
    for (const auto& [gradient, input] : {std::pair{gradients[0], "real"}, {gradients[1], "fake"}}) {
      const auto expected = stored.at(key + ".grad_" + input);
      EXPECT_TRUE(close(gradient.defined() ? gradient : torch::zeros_like(expected), expected, 1e-12)) << key << input;
    }
    if (side == "g") {
      EXPECT_EQ(gradients[0].defined(), loss.generator_needs_real) << key;
    }
  }
  if (!loss.generator_needs_real) {
    EXPECT_TRUE(torch::equal(loss.generator(torch::Tensor(), stored.at("fake")),
                             loss.generator(stored.at("real"), stored.at("fake"))));
  }
}

TEST_P(EveryLoss, StaysFiniteForLargeOutputs) {
  const auto& loss = adversarial_loss(GetParam().first);
  const auto real = torch::tensor({-1000.0, 1000.0, 30.0}).requires_grad_(true);
  const auto fake = torch::tensor({1000.0, -1000.0, -30.0}).requires_grad_(true);
  for (const auto& value : {loss.discriminator(real, fake), loss.generator(real, fake)}) {
    EXPECT_TRUE(std::isfinite(value.item<double>()));
    EXPECT_TRUE(torch::isfinite(torch::autograd::grad({value}, {fake})[0]).all().item<bool>());
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryLoss, testing::ValuesIn(Names<LossKind>::table),
                         [](const auto& test) { return std::string(test.param.second); });

TEST(AdversarialLoss, ValuesByHand) {
  const auto real = torch::tensor({2.0, -1.0}, torch::kDouble);
  const auto fake = torch::tensor({0.5, -3.0}, torch::kDouble);
  const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  const auto value = [](const torch::Tensor& loss) { return loss.item<double>(); };
  EXPECT_NEAR(value(ns_d(real, fake)), (softplus(-2) + softplus(1) + softplus(0.5) + softplus(-3)) / 2, 1e-14);
  EXPECT_NEAR(value(ns_g(fake)), (softplus(-0.5) + softplus(3)) / 2, 1e-14);
  EXPECT_NEAR(value(minimax_g(fake)), -(softplus(0.5) + softplus(-3)) / 2, 1e-14);
  EXPECT_NEAR(value(wgan_d(real, fake)), -1.25 - 0.5, 1e-14);
  EXPECT_NEAR(value(wgan_g(fake)), 1.25, 1e-14);
  EXPECT_NEAR(value(hinge_d(real, fake)), (0.0 + 2.0) / 2 + (1.5 + 0.0) / 2, 1e-14);
  EXPECT_NEAR(value(lsgan_d(real, fake)), 0.5 * (1.0 + 4.0) / 2 + 0.5 * (0.25 + 9.0) / 2, 1e-14);
  EXPECT_NEAR(value(lsgan_g(fake)), 0.5 * (0.25 + 16.0) / 2, 1e-14);
  EXPECT_NEAR(value(relativistic_d(real, fake)), (softplus(-1.5) + softplus(-2)) / 2, 1e-14);
  EXPECT_NEAR(value(relativistic_g(real, fake)), (softplus(1.5) + softplus(2)) / 2, 1e-14);
  EXPECT_TRUE(adversarial_loss(LossKind::relativistic).generator_needs_real);
}

}  // namespace
}  // namespace sgan
