#include "losses/gradient_normalization.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

using torch::autograd::grad;

torch::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return torch::randn(shape, make_generator(seed, torch::kCPU), torch::kDouble);
}

// f(x) = act(x A) · b + 0.3 on points of four numbers.
struct SmallCritic {
  torch::Tensor a = normal({4, 16}, 1).requires_grad_(true);
  torch::Tensor b = normal({16}, 2).requires_grad_(true);
  torch::Tensor (*activation)(const torch::Tensor&) = torch::tanh;

  torch::Tensor operator()(const torch::Tensor& x) const {
    return torch::mv(activation(torch::mm(x.flatten(1), a)), b) + 0.3;
  }
};

torch::Tensor slope_of(const Critic& critic, const torch::Tensor& x) {
  return critic_gradient(critic, x).detach().norm(2, 1);
}

TEST(GradientNormalization, OfALinearCriticByHand) {
  // f = 3x + 4y + 1, so ‖∇f‖ = 5.
  const auto critic = [](const torch::Tensor& x) {
    return torch::mv(x, torch::tensor({3.0, 4.0}, torch::kDouble)) + 1;
  };
  const auto x = torch::tensor({{0.0, 0.0}, {1.0, -2.0}, {300.0, 0.0}}, torch::kDouble);
  const auto expected = torch::tensor({1.0 / 6, -4.0 / 9, 901.0 / 906}, torch::kDouble);
  EXPECT_TRUE(close(gradient_normalized(critic)(x), expected, 1e-15));
}

TEST(GradientNormalization, StaysWithinOneAndIgnoresTheCriticsScale) {
  const SmallCritic critic;
  const auto x = 5 * normal({256, 4}, 3);
  const auto value = gradient_normalized(critic)(x);
  EXPECT_EQ(value.sizes(), torch::IntArrayRef({256}));
  EXPECT_LE(value.abs().max().item<double>(), 1);
  EXPECT_GT(value.abs().max().item<double>(), 0.5);
  const auto scaled = gradient_normalized([&](const torch::Tensor& at) { return 1e4 * critic(at); });
  EXPECT_TRUE(close(scaled(x), value, 1e-13));
}

// ∇f̂ = ∇f ‖∇f‖ / (‖∇f‖ + |f|)² where ∇f is constant.
TEST(GradientNormalization, OfAPiecewiseLinearCriticHasSlopeAtMostOne) {
  const SmallCritic critic{.activation = torch::relu};
  const auto x = 3 * normal({512, 4}, 3);
  const auto slope = slope_of(gradient_normalized(critic), x);
  const auto plain = slope_of(critic, x);
  EXPECT_GT(plain.max().item<double>(), 2);
  EXPECT_LE(slope.max().item<double>(), 1);
  EXPECT_GT(slope.max().item<double>(), 0.9);
  EXPECT_TRUE(close(slope, (plain / (plain + critic(x).abs())).square(), 1e-12));
}

// f = x + 9 relu(x − 1) at its kink: ∇f jumps from 1 to 10, and f̂ from 1/2 to 1/11. Slopes of at most 1 on either side
// are therefore no Lipschitz constant.
TEST(GradientNormalization, JumpsWhereTheGradientDoes) {
  const auto critic =
      gradient_normalized([](const torch::Tensor& x) { return (x + 9 * torch::relu(x - 1)).flatten(); });
  const auto x = torch::tensor({{1 - 1e-9}, {1 + 1e-9}}, torch::kDouble);
  EXPECT_TRUE(close(critic(x), torch::tensor({1.0 / 2, 1.0 / 11}, torch::kDouble), 1e-7));
  EXPECT_LE(slope_of(critic, x).max().item<double>(), 1);
}

TEST(GradientNormalization, GradientsMatchFiniteDifferences) {
  const SmallCritic critic;
  const auto x = normal({6, 4}, 3).requires_grad_(true);
  const auto cotangent = normal({6}, 4);
  const auto loss = [&](const SmallCritic& at, const torch::Tensor& samples) {
    return (gradient_normalized(at)(samples) * cotangent).sum();
  };
  const auto gradients = grad({loss(critic, x)}, {x, critic.a, critic.b});
  constexpr double kStep = 1e-6;
  const auto check = [&](const torch::Tensor& gradient, const torch::Tensor& direction, const auto& loss_at) {
    const auto numeric = (loss_at(kStep * direction) - loss_at(-kStep * direction)) / (2 * kStep);
    EXPECT_TRUE(close((gradient * direction).sum(), numeric, 1e-7));
  };
  check(gradients[0], normal({6, 4}, 5), [&](const torch::Tensor& step) { return loss(critic, x + step); });
  check(gradients[1], normal({4, 16}, 6),
        [&](const torch::Tensor& step) { return loss({.a = critic.a + step, .b = critic.b}, x); });
  check(gradients[2], normal({16}, 7),
        [&](const torch::Tensor& step) { return loss({.a = critic.a, .b = critic.b + step}, x); });
}

TEST(GradientNormalization, JudgesEachSampleByItself) {
  const auto critic = gradient_normalized(SmallCritic{});
  const auto x = normal({6, 1, 2, 2}, 3);
  const auto value = critic(x);
  for (int64_t i = 0; i < x.size(0); ++i) EXPECT_TRUE(close(critic(x.slice(0, i, i + 1))[0], value[i], 1e-14));
}

TEST(GradientNormalization, IsZeroWithAFiniteGradientWhereTheCriticVanishes) {
  for (const auto dtype : {torch::kFloat, torch::kDouble}) {
    const auto weight = torch::zeros({4}, dtype).requires_grad_(true);
    const auto bias = torch::zeros({}, dtype).requires_grad_(true);
    const auto critic = gradient_normalized([&](const torch::Tensor& x) { return torch::mv(x, weight) + bias; });
    const auto x = torch::ones({3, 4}, dtype).requires_grad_(true);
    const auto value = critic(x);
    EXPECT_TRUE(torch::equal(value, torch::zeros({3}, dtype)));
    for (const auto& gradient : grad({value.sum()}, {weight, bias, x})) {
      EXPECT_TRUE(torch::isfinite(gradient.square()).all().item<bool>());  // as Adam squares it
    }
  }
}

TEST(GradientNormalization, WithoutGradModeGivesTheSameValuesAlone) {
  const auto critic = gradient_normalized(SmallCritic{});
  const auto x = normal({6, 4}, 3);
  const auto expected = critic(x);
  EXPECT_TRUE(expected.requires_grad());
  torch::NoGradGuard no_grad;
  const auto value = critic(x);
  EXPECT_FALSE(value.requires_grad());
  EXPECT_TRUE(torch::equal(value, expected));
}

}  // namespace
}  // namespace sgan
