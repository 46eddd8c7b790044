#include "training/probe.h"

#include <gmock/gmock.h>

#include "losses/penalties.h"
#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"
#include "tests/training/small_run.h"

namespace sgan {
namespace {

using testing::ElementsAre;
using testing::Key;

torch::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return torch::randn(shape, make_generator(seed, torch::kCPU));
}

TEST(Probe, ReadsSigmaAndSlopeAndMovesNothing) {
  auto config = digits_config();
  config.discriminator.norm = NormKind::batch;
  config.discriminator.weight = WeightKind::spectral;
  const auto state = trained_state(config);
  auto& discriminator = *state.discriminator;
  const auto before = copy_of(state_of(discriminator));
  const auto probe = probe_critic(discriminator, /*gradient_normalization=*/false, normal({6, 1, 8, 8}, 1),
                                  normal({6, 1, 8, 8}, 2), torch::rand({6, 1, 1, 1}, make_generator(3, torch::kCPU)));
  EXPECT_TRUE(equal(state_of(discriminator), before));
  EXPECT_THAT(probe.sigma, ElementsAre(Key("conv0"), Key("conv1")));
  EXPECT_THAT(probe.sigma_effective, ElementsAre(Key("conv0"), Key("conv1")));
  for (const auto& [name, layer] : discriminator.layers()) {
    EXPECT_FLOAT_EQ(probe.sigma.at(name), layer->parametrization().sigma().item<double>());
    // An estimate is never above the truth, so a normalized weight is never below 1.
    EXPECT_GE(probe.sigma_effective.at(name), 1 - 1e-6);
    EXPECT_LT(probe.sigma_effective.at(name), 1.2);
  }
  EXPECT_GT(probe.slope_mean, 0);
  EXPECT_GE(probe.slope_max, probe.slope_mean);
}

TEST(Probe, OfALinearCriticIsExact) {
  Config config = planar_config();
  config.discriminator = {.kind = NetworkKind::mlp, .channels = 8, .depth = 0, .weight = WeightKind::none};
  const auto state = fresh_state(config);
  const auto probe =
      probe_critic(*state.discriminator, false, normal({4, 2}, 1), normal({4, 2}, 2), torch::rand({4, 1}));
  const auto norm = state.discriminator->layers()[0].second->parametrization().effective().norm().item<double>();
  EXPECT_FLOAT_EQ(probe.slope_mean, norm);
  EXPECT_FLOAT_EQ(probe.slope_max, norm);
  EXPECT_TRUE(probe.sigma.empty());
  EXPECT_FLOAT_EQ(probe.sigma_effective.at("linear0"), norm);
}

TEST(Probe, OfAGradientNormalizedCriticReadsTheNormalizedSlope) {
  auto config = digits_config();
  config.discriminator.gradient_normalization = true;
  const auto state = fresh_state(config);
  auto& discriminator = *state.discriminator;
  const auto real = normal({6, 1, 8, 8}, 1);
  const auto fake = normal({6, 1, 8, 8}, 2);
  const auto epsilon = torch::rand({6, 1, 1, 1}, make_generator(3, torch::kCPU));
  const auto probe = probe_critic(discriminator, /*gradient_normalization=*/true, real, fake, epsilon);

  // Leaky ReLUs are piecewise linear, hence the slope (‖∇f‖ / (‖∇f‖ + |f|))².
  const auto critic = [&](const torch::Tensor& x) { return discriminator.forward(x, Mode::eval); };
  const auto points = torch::cat({real, fake, interpolate(real, fake, epsilon)});
  const auto plain = row_norm(critic_gradient(critic, points));
  const auto expected = (plain / (plain + critic(points).abs())).square();
  EXPECT_NEAR(probe.slope_mean, expected.mean().item<double>(), 1e-5);
  EXPECT_NEAR(probe.slope_max, expected.max().item<double>(), 1e-5);
  EXPECT_LE(probe.slope_max, 1 + 1e-6);
}

}  // namespace
}  // namespace sgan
