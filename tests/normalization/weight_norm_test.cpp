#include "normalization/weight_norm.h"

#include <gtest/gtest.h>

#include <tuple>

#include "normalization/reshape.h"
#include "tests/normalization/layer_cases.h"

namespace sgan {
namespace {

using torch::autograd::grad;

WeightedLayer normalized_layer(const OperatorGeometry& geometry) {
  const auto layer = random_layer(geometry, WeightKind::weight_norm);
  torch::NoGradGuard no_grad;
  stored(layer, "original0").mul_(normal(stored(layer, "original0").sizes().vec(), 2));  // g is not ‖v‖
  return layer;
}

class WeightNormParity : public testing::TestWithParam<std::tuple<LayerCase, std::string>> {};

TEST_P(WeightNormParity, MatchesPyTorch) {
  const auto& [layer_case, dtype] = GetParam();
  const bool is_single = dtype == "f32";
  const double tolerance = is_single ? 1e-6 : 1e-13;
  const auto fixture = load_fixture("weight_norm");
  const auto expected = [&](const std::string& name) { return fixture.at(layer_case.name + "." + dtype + "." + name); };

  WeightedLayer layer(layer_case.geometry, /*bias=*/true, WeightKind::weight_norm, SpectralOptions{});
  layer->to(is_single ? torch::kFloat : torch::kDouble);
  load_state(*layer,
             {{"parametrizations.weight.original0", expected("original0")},
              {"parametrizations.weight.original1", expected("original1")},
              {"bias", expected("bias")}},
             "");
  const auto g = stored(layer, "original0");
  const auto v = stored(layer, "original1");
  const auto weight = layer->parametrization().effective();
  EXPECT_TRUE(close(weight, expected("weight"), tolerance));

  const auto input = expected("input").requires_grad_(true);
  const auto output = layer->forward(input, weight);
  EXPECT_TRUE(close(output, expected("output"), tolerance));
  const auto gradients = grad({output}, {g, v, input}, {expected("cotangent")}, /*retain_graph=*/true);
  EXPECT_TRUE(close(gradients[0], expected("grad_g"), tolerance));
  EXPECT_TRUE(close(gradients[1], expected("grad_v"), tolerance));
  EXPECT_TRUE(close(gradients[2], expected("grad_input"), tolerance));

  const auto penalty = slope_penalty(layer, weight, input);
  EXPECT_TRUE(close(penalty, expected("penalty"), tolerance));
  const auto double_gradients = grad({penalty}, {g, v});
  EXPECT_TRUE(close(double_gradients[0], expected("double_grad_g"), tolerance));
  EXPECT_TRUE(close(double_gradients[1], expected("double_grad_v"), tolerance));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, WeightNormParity,
                         testing::Combine(testing::ValuesIn(layer_cases()), testing::Values("f32", "f64")),
                         [](const auto& test) { return std::get<0>(test.param).name + "_" + std::get<1>(test.param); });

TEST(WeightNorm, WrappingKeepsTheFunction) {
  const auto fixture = load_fixture("weight_norm");
  for (const auto& [name, geometry] : layer_cases()) {
    SCOPED_TRACE(name);
    const auto weight = fixture.at(name + ".fresh.weight");
    WeightedLayer layer(geometry, /*bias=*/false, WeightKind::weight_norm, SpectralOptions{});
    layer->parametrization().initialize(weight, seeded(1));
    EXPECT_TRUE(close(layer->parametrization().effective(), weight, 1e-6));
    EXPECT_TRUE(torch::equal(stored(layer, "original1"), weight));
    EXPECT_TRUE(close(stored(layer, "original0"), fixture.at(name + ".fresh.original0"), 1e-6));
  }
}

TEST(WeightNorm, NormsAreThoseOfOutputChannels) {
  for (const auto& [name, geometry] : layer_cases()) {
    SCOPED_TRACE(name);
    const auto layer = normalized_layer(geometry);
    const auto rows = reshape_to_matrix(layer->parametrization().effective(), geometry.output_dim());
    EXPECT_TRUE(close(rows.norm(2, 1), stored(layer, "original0").abs().view(-1), 1e-14));
    EXPECT_EQ(stored(layer, "original0").dim(), static_cast<int64_t>(geometry.weight_shape().size()));
  }
}

TEST(WeightNorm, GradientsFollowThePapersFormulas) {
  for (const auto& [name, geometry] : layer_cases()) {
    SCOPED_TRACE(name);
    const auto layer = normalized_layer(geometry);
    const auto weight = layer->parametrization().effective();
    const auto loss = layer->forward(inputs_of(geometry, 3, 4), weight).sin().sum();
    const auto gradients = grad({loss}, {weight, stored(layer, "original0"), stored(layer, "original1")});
    const auto rows = [&](const torch::Tensor& tensor) { return reshape_to_matrix(tensor, geometry.output_dim()); };
    const auto g = stored(layer, "original0").view({-1, 1});
    const auto v = rows(stored(layer, "original1"));
    const auto norm = v.norm(2, {1}, /*keepdim=*/true);
    // Equation 3 of the paper.
    const auto grad_g = (rows(gradients[0]) * v).sum(1, /*keepdim=*/true) / norm;
    const auto grad_v = g / norm * rows(gradients[0]) - g * grad_g / norm.square() * v;
    EXPECT_TRUE(close(gradients[1].view({-1, 1}), grad_g, 1e-13));
    EXPECT_TRUE(close(rows(gradients[2]), grad_v, 1e-13));
    EXPECT_TRUE(close((v * rows(gradients[2])).sum(1), torch::zeros({geometry.out_channels}), 1e-13));
  }
}

// ⟨v, ∇v⟩ = 0, so a gradient step of any length makes v longer, by ‖lr ∇v‖² in the square (section 2.1).
TEST(WeightNorm, DirectionsGrowUnderGradientDescent) {
  for (const auto& [name, geometry] : layer_cases()) {
    SCOPED_TRACE(name);
    const auto layer = normalized_layer(geometry);
    const auto weight = layer->parametrization().effective();
    const auto v = stored(layer, "original1");
    const auto gradient = grad({layer->forward(inputs_of(geometry, 3, 4), weight).sin().sum()}, {v})[0];
    const auto rows = [&](const torch::Tensor& x) {
      return reshape_to_matrix(x, geometry.output_dim()).square().sum(1);
    };
    const auto stepped = rows(v - 0.1 * gradient);
    EXPECT_TRUE((stepped > rows(v)).all().item<bool>());
    EXPECT_TRUE(close(stepped, rows(v) + 0.01 * rows(gradient), 1e-13));
  }
}

TEST(WeightNorm, OneZeroDirectionLeavesTheOthers) {
  for (const auto& [name, geometry] : layer_cases()) {
    SCOPED_TRACE(name);
    const auto layer = normalized_layer(geometry);
    const auto before = reshape_to_matrix(layer->parametrization().effective(), geometry.output_dim()).detach().clone();
    {
      torch::NoGradGuard no_grad;
      stored(layer, "original1").select(geometry.output_dim(), 0).zero_();
    }
    const auto weight = layer->parametrization().effective();
    const auto rows = reshape_to_matrix(weight, geometry.output_dim());
    EXPECT_EQ(rows[0].abs().max().item<double>(), 0);
    EXPECT_TRUE(torch::equal(rows.slice(0, 1), before.slice(0, 1)));
    const auto x = inputs_of(geometry, 2, 4);
    const auto loss = layer->forward(x, weight).sin().sum() + slope_penalty(layer, weight, x);
    for (const auto& gradient : grad({loss}, layer->parameters())) {
      EXPECT_TRUE(gradient.isfinite().all().item<bool>());
    }
  }
}

TEST(WeightNorm, IsNoLipschitzConstraint) {
  // Gains of 1 with one direction for all d outputs: a spectral norm of √d.
  const OperatorGeometry geometry{OperatorKind::linear, 5, 9};
  const auto layer = layer_with(geometry, WeightKind::weight_norm, normal({1, 5}, 1).expand({9, 5}));
  {
    torch::NoGradGuard no_grad;
    stored(layer, "original0").fill_(1);
  }
  EXPECT_NEAR(largest_singular_value(layer->parametrization().effective()), 3, 1e-14);
}

}  // namespace
}  // namespace sgan
