#include "normalization/spectral_norm.h"

#include <gmock/gmock.h>

#include <string>
#include <tuple>
#include <vector>

#include "normalization/reshape.h"
#include "tests/normalization/layer_cases.h"

namespace sgan {
namespace {

using testing::UnorderedElementsAre;
using torch::autograd::grad;

// A weight with spectral norm in float64, with its tensors at hand.
struct Subject {
  explicit Subject(const torch::Tensor& weight, int64_t output_dim = 0, const SpectralOptions& options = {})
      : norm(weight.sizes().vec(), output_dim, options) {
    norm->to(torch::kDouble);
    norm->initialize(weight, seeded(99));
    auto state = state_of(*norm);
    original = state.at("original");
    u = state.at("0._u");
    v = state.at("0._v");
  }
  torch::Tensor exact_sigma() const { return torch::linalg_svdvals(norm->reshaped())[0]; }

  SpectralNorm norm;
  torch::Tensor original;
  torch::Tensor u;
  torch::Tensor v;
};

// How a weight lies in memory changes nothing but rounding, and u and v keep PyTorch's order.
TEST(SpectralNorm, WeightsMayHaveTheirChannelsLast) {
  const auto weight = torch::randn({5, 3, 4, 2}, seeded(1), torch::kDouble);
  for (const int64_t output_dim : {0, 1}) {
    SCOPED_TRACE(output_dim);
    const SpectralOptions options{.warmup = 0};
    Subject plain(weight, output_dim, options);
    Subject last(weight, output_dim, options);
    last.original.set_data(last.original.contiguous(torch::MemoryFormat::ChannelsLast));
    ASSERT_FALSE(last.original.is_contiguous());
    for (int i = 0; i < 3; ++i) {
      plain.norm->advance();
      last.norm->advance();
      EXPECT_TRUE(close(last.u, plain.u, 1e-14));
      EXPECT_TRUE(close(last.v, plain.v, 1e-14));
    }
    EXPECT_TRUE(close(last.norm->sigma(), plain.norm->sigma(), 1e-14));
    const auto normalized = last.norm->effective();
    EXPECT_TRUE(close(normalized, plain.norm->effective(), 1e-14));
    EXPECT_TRUE(normalized.is_contiguous(torch::MemoryFormat::ChannelsLast));
    const auto gradient_of = [&](Subject& subject) {
      return grad({(subject.norm->effective() * weight.sin()).sum()}, {subject.original})[0];
    };
    EXPECT_TRUE(close(gradient_of(last), gradient_of(plain), 1e-14));
  }
}

class SpectralNormParity : public testing::TestWithParam<std::tuple<LayerCase, std::string>> {};

TEST_P(SpectralNormParity, MatchesPyTorch) {
  const auto& [layer_case, dtype] = GetParam();
  const bool is_single = dtype == "f32";
  const double tolerance = is_single ? 1e-6 : 1e-13;
  const std::string prefix = layer_case.name + "." + dtype + ".";
  const auto fixture = load_fixture("spectral_norm");
  const auto expected = [&](const std::string& name) { return fixture.at(prefix + name); };

  WeightedLayer layer(layer_case.geometry, /*bias=*/true, WeightKind::spectral, SpectralOptions{});
  layer->to(is_single ? torch::kFloat : torch::kDouble);
  load_state(*layer,
             {{"parametrizations.weight.original", expected("weight")},
              {"parametrizations.weight.0._u", expected("u0")},
              {"parametrizations.weight.0._v", expected("v0")},
              {"bias", expected("bias")}},
             "");
  const auto state = state_of(*layer);
  const auto weight = state.at("parametrizations.weight.original");
  auto& parametrization = layer->parametrization();
  EXPECT_TRUE(
      close(layer->forward(expected("input"), parametrization.effective()), expected("eval_output"), tolerance));

  parametrization.advance();
  EXPECT_TRUE(close(state.at("parametrizations.weight.0._u"), expected("u1"), tolerance));
  EXPECT_TRUE(close(state.at("parametrizations.weight.0._v"), expected("v1"), tolerance));
  const auto normalized = parametrization.effective();
  EXPECT_TRUE(close(normalized, expected("normalized"), tolerance));

  const auto input = expected("input").requires_grad_(true);
  const auto output = layer->forward(input, normalized);
  EXPECT_TRUE(close(output, expected("output"), tolerance));
  const auto gradients = grad({output}, {weight, input}, {expected("cotangent")}, /*retain_graph=*/true);
  EXPECT_TRUE(close(gradients[0], expected("grad_weight"), tolerance));
  EXPECT_TRUE(close(gradients[1], expected("grad_input"), tolerance));

  const auto slope = grad({output.pow(3).sum()}, {input}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
  const auto penalty = slope.flatten(1).square().sum(1).mean();
  // Sums of thousands of cubes, whose order float32 feels.
  EXPECT_TRUE(close(penalty, expected("penalty"), 4 * tolerance));
  EXPECT_TRUE(close(grad({penalty}, {weight})[0], expected("double_grad_weight"), 4 * tolerance));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, SpectralNormParity,
                         testing::Combine(testing::ValuesIn(layer_cases()), testing::Values("f32", "f64")),
                         [](const auto& test) { return std::get<0>(test.param).name + "_" + std::get<1>(test.param); });

TEST(SpectralNorm, HasPyTorchsStateNames) {
  WeightedLayer layer(layer_cases()[2].geometry, /*bias=*/true, WeightKind::spectral, SpectralOptions{});
  EXPECT_THAT(layer->named_parameters().keys(), UnorderedElementsAre("bias", "parametrizations.weight.original"));
  EXPECT_THAT(layer->named_buffers().keys(),
              UnorderedElementsAre("parametrizations.weight.0._u", "parametrizations.weight.0._v"));
  WeightedLayer plain(layer_cases()[2].geometry, /*bias=*/false, WeightKind::none, SpectralOptions{});
  EXPECT_THAT(plain->named_parameters().keys(), UnorderedElementsAre("weight"));
  EXPECT_THAT(plain->named_buffers().keys(), UnorderedElementsAre());
  EXPECT_FALSE(plain->parametrization().sigma().defined());
}

TEST(SpectralNorm, SigmaMatchesSvd) {
  struct Shape {
    std::vector<int64_t> sizes;
    int64_t output_dim;
  };
  for (const auto& [sizes, output_dim] : {Shape{{64, 32}, 0}, Shape{{8, 100}, 0}, Shape{{1, 50}, 0}, Shape{{50, 1}, 0},
                                          Shape{{16, 8, 3, 3}, 0}, Shape{{12, 6, 4, 4}, 1}}) {
    Subject subject(normal(sizes, 7), output_dim, {.warmup = 0});
    for (int i = 0; i < 200; ++i) subject.norm->advance();
    const auto exact = subject.exact_sigma().item<double>();
    const auto estimate = subject.norm->sigma().item<double>();
    EXPECT_NEAR(estimate, exact, 0.01 * exact) << sizes;
    EXPECT_LE(estimate, exact * (1 + 1e-12)) << sizes;
    const auto normalized = reshape_to_matrix(subject.norm->effective(), output_dim);
    EXPECT_NEAR(torch::linalg_svdvals(normalized)[0].item<double>(), 1, 0.01) << sizes;
  }
}

TEST(SpectralNorm, EffectiveMovesNothing) {
  Subject subject(normal({6, 4, 3, 3}, 3));
  const auto before = copy_of(state_of(*subject.norm));
  const auto first = subject.norm->effective();
  const auto sigma = subject.norm->sigma();
  for (int i = 0; i < 5; ++i) {
    const auto again = subject.norm->effective();
    EXPECT_TRUE(torch::equal(again, first));
    EXPECT_TRUE(torch::equal(subject.norm->sigma(), sigma));
    grad({again.sum()}, {subject.original});
  }
  EXPECT_TRUE(equal(state_of(*subject.norm), before));
}

TEST(SpectralNorm, RealPlusFakeBackwardEqualsAnalyticGradient) {
  for (const auto& [name, geometry] : layer_cases()) {
    SCOPED_TRACE(name);
    const auto layer = random_layer(geometry, WeightKind::spectral);
    const auto u = stored(layer, "0._u");
    const auto v = stored(layer, "0._v");

    const auto normalized = layer->parametrization().effective();
    const auto real = layer->forward(inputs_of(geometry, 3, 4), normalized);
    const auto fake = layer->forward(inputs_of(geometry, 3, 5), normalized);
    const auto loss = (real.sin() - fake.cos()).sum();
    const auto gradients = grad({loss}, {stored(layer, "original"), normalized});

    // (G − ⟨G, W̄⟩ u vᵀ) / σ in the reshaped weight.
    const auto dim = geometry.output_dim();
    const auto g = reshape_to_matrix(gradients[1], dim);
    const auto inner = (g * reshape_to_matrix(normalized, dim)).sum();
    const auto analytic = (g - inner * torch::outer(u, v)) / layer->parametrization().sigma();
    EXPECT_TRUE(close(reshape_to_matrix(gradients[0], dim), analytic, 1e-13));
  }
}

TEST(SpectralNorm, PowerStepsPerAdvanceAsConfigured) {
  const auto weight = normal({9, 11}, 5);
  for (const int64_t steps : {1, 2, 5}) {
    Subject several(weight, 0, {.power_iterations = steps});
    Subject single(weight, 0, {.power_iterations = 1});
    several.norm->advance();
    for (int64_t i = 0; i < steps; ++i) single.norm->advance();
    EXPECT_TRUE(equal(state_of(*several.norm), state_of(*single.norm))) << steps;
  }
  Subject warm(weight, 0, {.warmup = 4});
  Subject cold(weight, 0, {.warmup = 0});
  EXPECT_FALSE(torch::equal(warm.u, cold.u));
  for (int i = 0; i < 4; ++i) cold.norm->advance();
  EXPECT_TRUE(equal(state_of(*warm.norm), state_of(*cold.norm)));
}

TEST(SpectralNorm, VectorsPersist) {
  Subject subject(normal({5, 4, 4, 4}, 6), /*output_dim=*/1, {.power_iterations = 2, .warmup = 0});
  auto u = subject.u.clone();
  auto v = subject.v.clone();
  EXPECT_NEAR(u.norm().item<double>(), 1, 1e-14);
  EXPECT_NEAR(v.norm().item<double>(), 1, 1e-14);
  for (int advance = 0; advance < 3; ++advance) {
    // The weight moves as in training; u and v go on from where they were.
    {
      torch::NoGradGuard no_grad;
      subject.original.mul_(0.7).add_(normal({5, 4, 4, 4}, 10 + advance), 0.1);
    }
    subject.norm->advance();
    const auto matrix = subject.original.detach().transpose(0, 1).reshape({4, 80});
    for (int step = 0; step < 2; ++step) {
      u = torch::mv(matrix, v) / torch::mv(matrix, v).norm();
      v = torch::mv(matrix.t(), u) / torch::mv(matrix.t(), u).norm();
    }
    EXPECT_TRUE(close(subject.u, u, 1e-14));
    EXPECT_TRUE(close(subject.v, v, 1e-14));
    EXPECT_TRUE(close(subject.norm->sigma(), torch::dot(u, torch::mv(matrix, v)), 1e-14));
  }
}

TEST(SpectralNorm, ZeroWeightGivesZerosAndFiniteGradients) {
  // Also a weight too small to be told from zero: dividing by eps instead of its length would shrink u and v.
  for (const double scale : {0.0, 1e-14}) {
    SCOPED_TRACE(scale);
    const auto weight = scale * normal({6, 8}, 1);
    Subject subject(weight);
    for (int i = 0; i < 20; ++i) subject.norm->advance();
    EXPECT_NEAR(subject.u.norm().item<double>(), 1, 1e-12);
    EXPECT_NEAR(subject.v.norm().item<double>(), 1, 1e-12);
    const auto effective = subject.norm->effective();
    EXPECT_TRUE(torch::equal(effective, weight));
    EXPECT_TRUE(close(subject.norm->sigma(), torch::zeros({}), 1e-12));
    const auto cotangent = normal({6, 8}, 2);
    EXPECT_TRUE(torch::equal(grad({effective}, {subject.original}, {cotangent})[0], cotangent));

    {
      torch::NoGradGuard no_grad;
      subject.original.copy_(normal({6, 8}, 3));
    }
    for (int i = 0; i < 100; ++i) subject.norm->advance();
    const auto exact = subject.exact_sigma().item<double>();
    EXPECT_NEAR(subject.norm->sigma().item<double>(), exact, 0.01 * exact);
  }
}

TEST(SpectralNorm, TwoForwardsBeforeOneBackward) {
  Subject subject(normal({6, 8}, 1), 0, {.warmup = 1});
  const auto cotangent = normal({6, 8}, 2);
  const auto alone = grad({subject.norm->effective()}, {subject.original}, {cotangent})[0];
  const auto first = subject.norm->effective();
  subject.norm->advance();
  const auto second = subject.norm->effective();
  EXPECT_FALSE(torch::equal(first, second));
  const auto second_alone = grad({subject.norm->effective()}, {subject.original}, {cotangent})[0];
  const auto both = grad({first + second}, {subject.original}, {cotangent})[0];
  EXPECT_TRUE(close(both, alone + second_alone, 1e-14));
}

}  // namespace
}  // namespace sgan
