#include "normalization/weight_parametrization.h"

#include <gmock/gmock.h>

#include <map>
#include <tuple>

#include "tests/normalization/layer_cases.h"

namespace sgan {
namespace {

using testing::UnorderedElementsAreArray;
using torch::autograd::grad;

// What every kind of weight must do, on every kind of layer.
class EveryWeightKind : public testing::TestWithParam<std::tuple<WeightKind, LayerCase>> {
 protected:
  WeightKind kind() const { return std::get<0>(GetParam()); }
  const OperatorGeometry& geometry() const { return std::get<1>(GetParam()).geometry; }
};

INSTANTIATE_TEST_SUITE_P(Layers, EveryWeightKind,
                         testing::Combine(testing::Values(WeightKind::none, WeightKind::spectral,
                                                          WeightKind::spectral_operator,
                                                          WeightKind::spectral_bidirectional, WeightKind::weight_norm),
                                          testing::ValuesIn(layer_cases())),
                         [](const auto& test) {
                           return std::string(name_of(std::get<0>(test.param))) + "_" + std::get<1>(test.param).name;
                         });

TEST_P(EveryWeightKind, EffectiveAndSigmaMoveNothing) {
  const auto layer = random_layer(geometry(), kind(), {.warmup = 1});
  const auto before = copy_of(state_of(*layer));
  const auto first = layer->parametrization().effective();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(torch::equal(layer->parametrization().effective(), first));
    grad({layer->parametrization().effective().sum()}, layer->parameters());
    const auto sigma = layer->parametrization().sigma();
    EXPECT_TRUE(!sigma.defined() || !sigma.requires_grad());
  }
  EXPECT_TRUE(equal(state_of(*layer), before));
}

TEST_P(EveryWeightKind, AdvanceMovesTheVectorsAlone) {
  const auto layer = random_layer(geometry(), kind(), {.warmup = 0});
  const auto before = copy_of(state_of(*layer));
  layer->parametrization().advance();
  for (const auto& [name, tensor] : state_of(*layer)) {
    const bool is_vector = name.find(".0._") != std::string::npos;
    if (is_vector && tensor.numel() == 1) continue;  // 1 or -1
    EXPECT_EQ(torch::equal(tensor, before.at(name)), !is_vector) << name;
    if (is_vector) {
      EXPECT_NEAR(tensor.norm().item<double>(), 1, 1e-14) << name;
    }
  }
}

TEST_P(EveryWeightKind, PowerStepsPerAdvanceAsConfigured) {
  const auto several = random_layer(geometry(), kind(), {.power_iterations = 3, .warmup = 2});
  const auto single = random_layer(geometry(), kind(), {.power_iterations = 1, .warmup = 0});
  several->parametrization().advance();
  advance(single, 5);
  EXPECT_TRUE(equal(state_of(*several), state_of(*single)));
}

TEST_P(EveryWeightKind, ZeroWeightGivesZerosAndFiniteGradients) {
  for (const auto dtype : {torch::kDouble, torch::kFloat}) {
    WeightedLayer layer(geometry(), /*bias=*/false, kind(), SpectralOptions{});
    layer->to(dtype);
    layer->parametrization().initialize(torch::zeros(geometry().weight_shape()), seeded(3));
    advance(layer, 5);
    const auto weight = layer->parametrization().effective();
    EXPECT_TRUE(torch::equal(weight, torch::zeros_like(weight)));

    const auto x = inputs_of(geometry(), 2, 4).to(dtype);
    const auto loss = layer->forward(x, weight).sin().sum() + slope_penalty(layer, weight, x);
    for (const auto& gradient : grad({loss}, layer->parameters())) {
      EXPECT_TRUE(gradient.isfinite().all().item<bool>());
    }
    for (const auto& [name, tensor] : state_of(*layer)) EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << name;

    // It comes back to life.
    {
      torch::NoGradGuard no_grad;
      for (auto& parameter : layer->parameters()) parameter.add_(1);
    }
    advance(layer, 5);
    EXPECT_GT(layer->parametrization().effective().norm().item<double>(), 0.1);
  }
}

TEST_P(EveryWeightKind, GradientMatchesFiniteDifferences) {
  const auto layer = random_layer(geometry(), kind(), {.warmup = 2, .target = 1.5, .scale = 0.8});
  const auto x = inputs_of(geometry(), 3, 4);
  const auto loss = [&] {
    const auto weight = layer->parametrization().effective();
    return layer->forward(x, weight).sin().sum() + slope_penalty(layer, weight, x);
  };
  const auto parameters = layer->parameters();
  const auto gradients = grad({loss()}, parameters);
  constexpr double kStep = 1e-5;
  for (size_t i = 0; i < parameters.size(); ++i) {
    for (uint64_t seed : {10, 11, 12}) {
      const auto direction = normal(parameters[i].sizes().vec(), seed);
      const auto at = [&](double step) {
        const auto moved = [&](double by) {
          torch::NoGradGuard no_grad;
          auto parameter = parameters[i];
          parameter.add_(direction, by);
        };
        moved(step);
        const auto value = loss().item<double>();
        moved(-step);
        return value;
      };
      const double expected = (at(kStep) - at(-kStep)) / (2 * kStep);
      const double actual = (gradients[i] * direction).sum().item<double>();
      EXPECT_NEAR(actual, expected, 1e-6 * (1 + gradients[i].norm().item<double>())) << i << " " << seed;
    }
  }
}

TEST_P(EveryWeightKind, TwoForwardsBeforeOneBackward) {
  const auto layer = random_layer(geometry(), kind(), {.warmup = 1});
  const auto parameter = layer->parameters().back();
  const auto cotangent = normal(geometry().weight_shape(), 2);
  const auto gradient = [&](const torch::Tensor& weight) { return grad({weight}, {parameter}, {cotangent})[0]; };
  const auto first = layer->parametrization().effective();
  const auto first_alone = gradient(layer->parametrization().effective());
  layer->parametrization().advance();
  const auto second = layer->parametrization().effective();
  const auto second_alone = gradient(layer->parametrization().effective());
  EXPECT_TRUE(close(gradient(first + second), first_alone + second_alone, 1e-13));
}

TEST_P(EveryWeightKind, TargetMultipliesTheSpectralKinds) {
  const bool is_spectral = random_layer(geometry(), kind())->parametrization().sigma().defined();
  const auto plain = random_layer(geometry(), kind())->parametrization().effective();
  for (const double target : {0.25, 3.0}) {
    const auto layer = random_layer(geometry(), kind(), {.target = target});
    EXPECT_TRUE(close(layer->parametrization().effective(), is_spectral ? target * plain : plain, 1e-14)) << target;
  }
}

TEST(WeightParametrization, HasPyTorchsStateNames) {
  const std::map<WeightKind, std::pair<std::vector<std::string>, std::vector<std::string>>> expected{
      {WeightKind::none, {{"weight"}, {}}},
      {WeightKind::spectral, {{"original"}, {"0._u", "0._v"}}},
      {WeightKind::spectral_operator, {{"original"}, {"0._x"}}},
      {WeightKind::spectral_bidirectional, {{"original"}, {"0._u", "0._v", "0._u_in", "0._v_in"}}},
      {WeightKind::weight_norm, {{"original0", "original1"}, {}}},
  };
  ASSERT_EQ(expected.size(), Names<WeightKind>::table.size());
  for (auto [kind, names] : expected) {
    auto& [parameters, buffers] = names;
    for (auto* list : {&parameters, &buffers}) {
      for (auto& name : *list) {
        if (kind != WeightKind::none) name = "parametrizations.weight." + name;
      }
    }
    parameters.emplace_back("bias");
    WeightedLayer layer(layer_cases()[2].geometry, /*bias=*/true, kind, SpectralOptions{});
    EXPECT_THAT(layer->named_parameters().keys(), UnorderedElementsAreArray(parameters)) << name_of(kind);
    EXPECT_THAT(layer->named_buffers().keys(), UnorderedElementsAreArray(buffers)) << name_of(kind);
    EXPECT_EQ(layer->parametrization().sigma().defined(), !buffers.empty()) << name_of(kind);
  }
}

}  // namespace
}  // namespace sgan
