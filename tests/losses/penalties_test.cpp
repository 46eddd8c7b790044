#include "losses/penalties.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>
#include <vector>

#include "losses/weight_penalties.h"
#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

using torch::autograd::grad;

std::vector<PenaltyKind> sample_penalties() {
  std::vector<PenaltyKind> kinds;
  for (const auto& [kind, name] : Names<PenaltyKind>::table) {
    if (penalty(kind).on_samples != nullptr) kinds.push_back(kind);
  }
  return kinds;
}

class EveryPenalty : public testing::TestWithParam<PenaltyKind> {};

TEST_P(EveryPenalty, MatchesPyTorch) {
  const auto stored = load_fixture("losses");
  const auto kind = GetParam();
  const auto a = stored.at("A").clone().requires_grad_(true);
  const auto b = stored.at("b").clone().requires_grad_(true);
  const auto critic = [&](const torch::Tensor& x) { return torch::mv(torch::tanh(torch::mm(x.flatten(1), a)), b); };
  const auto noise = stored.at(kind == PenaltyKind::dragan ? "noise" : "epsilon");
  const auto value = penalty(kind).on_samples(critic, stored.at("x_real"), stored.at("x_fake"), noise);
  const auto gradients = grad({value}, {a, b});
  const std::string key(name_of(kind));
  EXPECT_EQ(penalty(kind).kind, kind);
  EXPECT_TRUE(close(value, stored.at(key + ".value"), 1e-12));
  EXPECT_TRUE(close(gradients[0], stored.at(key + ".grad_A"), 1e-12));
  EXPECT_TRUE(close(gradients[1], stored.at(key + ".grad_b"), 1e-12));
}

// A critic that is flat everywhere: its slope is exactly 0, where the plain norm's gradient is 0/0.
TEST_P(EveryPenalty, GradientIsFiniteWhereTheSlopeIsZero) {
  const auto& entry = penalty(GetParam());
  for (const auto dtype : {torch::kFloat, torch::kDouble}) {
    const auto real = torch::ones({3, 1, 2, 2}, dtype);
    const auto weight = torch::zeros({4}, dtype).requires_grad_(true);
    const auto critic = [&](const torch::Tensor& x) { return torch::mv(x.flatten(1), weight); };
    const auto noise = entry.draw_noise(real, make_generator(1, torch::kCPU));
    const auto value = entry.on_samples(critic, real, -real, noise);
    EXPECT_TRUE(torch::isfinite(value).item<bool>());
    EXPECT_TRUE(torch::equal(grad({value}, {weight})[0], torch::zeros({4}, dtype)));
  }
}

TEST_P(EveryPenalty, DrawsNoiseOfItsShape) {
  const auto kind = GetParam();
  const bool needs_none = kind == PenaltyKind::r1 || kind == PenaltyKind::r2;
  for (const auto& shape : {std::vector<int64_t>{512, 2}, {64, 3, 4, 4}}) {
    const auto real = torch::ones(shape, torch::kDouble);
    const auto noise = penalty(kind).draw_noise(real, make_generator(1, torch::kCPU));
    EXPECT_EQ(noise.defined(), !needs_none);
    if (needs_none) continue;
    auto expected = shape;
    if (kind != PenaltyKind::dragan) std::fill(expected.begin() + 1, expected.end(), 1);
    EXPECT_EQ(noise.sizes(), torch::IntArrayRef(expected));
    EXPECT_EQ(noise.dtype(), torch::kDouble);
    EXPECT_GE(noise.min().item<double>(), 0);
    EXPECT_LT(noise.min().item<double>(), 0.1);
    EXPECT_LE(noise.max().item<double>(), 1);
    EXPECT_GT(noise.max().item<double>(), 0.9);
    EXPECT_TRUE(torch::equal(noise, penalty(kind).draw_noise(real, make_generator(1, torch::kCPU))));
    EXPECT_FALSE(torch::equal(noise, penalty(kind).draw_noise(real, make_generator(2, torch::kCPU))));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryPenalty, testing::ValuesIn(sample_penalties()),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST(Penalties, AreOnSamplesOrOnWeights) {
  for (const auto& [kind, name] : Names<PenaltyKind>::table) {
    const auto& entry = penalty(kind);
    EXPECT_EQ(entry.kind, kind);
    const bool on_weights = kind == PenaltyKind::spectral || kind == PenaltyKind::orthogonal;
    EXPECT_EQ(entry.on_weights != nullptr, on_weights) << name;
    EXPECT_EQ(entry.on_samples == nullptr, on_weights) << name;
    if (on_weights) {
      EXPECT_FALSE(entry.draw_noise(torch::ones({2, 2}), make_generator(1, torch::kCPU)).defined()) << name;
    }
  }
  EXPECT_EQ(penalty(PenaltyKind::spectral).on_weights, spectral_penalty);
  EXPECT_EQ(penalty(PenaltyKind::orthogonal).on_weights, orthogonal_penalty);
}

TEST(Penalties, OfALinearCriticByHand) {
  // ‖∇D‖ = ‖(3, 0, 0, 4)‖ = 5 everywhere; half of it on the near side of 1 for the one-sided kind.
  const auto weight = torch::tensor({3.0, 0.0, 0.0, 4.0}, torch::kDouble);
  const auto real = torch::rand({6, 1, 2, 2}, make_generator(1, torch::kCPU), torch::kDouble);
  const auto value = [&](PenaltyKind kind, double scale) {
    const auto critic = [&](const torch::Tensor& x) { return torch::mv(x.flatten(1), scale * weight); };
    const auto noise = penalty(kind).draw_noise(real, make_generator(2, torch::kCPU));
    return penalty(kind).on_samples(critic, real, -real, noise).item<double>();
  };
  EXPECT_NEAR(value(PenaltyKind::gp, 1), 16, 1e-12);
  EXPECT_NEAR(value(PenaltyKind::gp, 0.1), 0.25, 1e-12);
  EXPECT_NEAR(value(PenaltyKind::gp_one_sided, 1), 16, 1e-12);
  EXPECT_NEAR(value(PenaltyKind::gp_one_sided, 0.1), 0, 1e-12);
  EXPECT_NEAR(value(PenaltyKind::dragan, 1), 16, 1e-12);
  EXPECT_NEAR(value(PenaltyKind::zero_centred, 1), 25, 1e-12);
  EXPECT_NEAR(value(PenaltyKind::r1, 1), 12.5, 1e-12);
  EXPECT_NEAR(value(PenaltyKind::r2, 1), 12.5, 1e-12);
}

TEST(Penalties, LookAtThePointsTheyAreNamedFor) {
  const auto real = torch::full({2, 3}, 2.0, torch::kDouble);
  const auto fake = torch::full({2, 3}, -2.0, torch::kDouble);
  const auto epsilon = torch::tensor({{0.25}, {1.0}}, torch::kDouble);
  EXPECT_TRUE(close(interpolate(real, fake, epsilon), torch::tensor({{1.0, 1.0, 1.0}, {-2.0, -2.0, -2.0}}), 1e-15));

  const auto seen = [&](PenaltyKind kind) {
    torch::Tensor points;
    const auto critic = [&](const torch::Tensor& x) {
      points = x.detach();
      return x.square().sum(1);
    };
    penalty(kind).on_samples(critic, real, fake, epsilon.expand({2, 3}));
    return points;
  };
  EXPECT_TRUE(torch::equal(seen(PenaltyKind::r1), real));
  EXPECT_TRUE(torch::equal(seen(PenaltyKind::r2), fake));
  for (const auto kind : {PenaltyKind::gp, PenaltyKind::gp_one_sided, PenaltyKind::zero_centred}) {
    EXPECT_TRUE(torch::equal(seen(kind), interpolate(real, fake, epsilon))) << name_of(kind);
  }
  EXPECT_TRUE(torch::equal(seen(PenaltyKind::dragan), real + 0.5 * real.std() * epsilon));
}

}  // namespace
}  // namespace sgan
