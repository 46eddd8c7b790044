#include "normalization/activation_norm.h"

#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <cmath>
#include <string>

#include "tests/normalization/small_norms.h"

namespace sgan {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;
using torch::autograd::grad;

TEST(ActivationNorm, NoneIsNull) {
  EXPECT_EQ(make_activation_norm(NormKind::none, kPoint), nullptr);
}

class NormParity : public testing::TestWithParam<NormKind> {};

// Of the gradient penalty's shape: a first derivative inside, differentiated again.
torch::Tensor slope_penalty(ActivationNormImpl& norm, const torch::Tensor& x, Mode mode) {
  const auto loss = norm.forward(x, mode).pow(3).sum();
  return grad({loss}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0].square().mean();
}

TEST_P(NormParity, ValuesGradientsDoubleGradientsAndBuffersMatchPyTorch) {
  constexpr double kTolerance = 1e-9;
  const auto kind = GetParam();
  const auto stored = load_fixture("norms");
  for (const auto& sample_shape : sample_shapes(kind)) {
    const std::string place = sample_shape.size() == 1 ? "points." : "images.";
    const auto prefix = place + std::string(name_of(kind)) + ".";
    const auto norm = trained_norm(kind, sample_shape);
    const auto x = stored.at(place + "input").clone().requires_grad_(true);
    std::vector<std::string> names{"input"};
    std::vector<torch::Tensor> inputs{x};
    for (const auto& item : norm->named_parameters()) {
      names.push_back(item.key());
      inputs.push_back(item.value());
      EXPECT_TRUE(torch::equal(item.value(), stored.at(item.key())));
    }

    const auto output = norm->forward(x, Mode::train);
    EXPECT_TRUE(close(output, stored.at(prefix + "output"), kTolerance)) << prefix;
    const auto first = grad({(output * stored.at(place + "cotangent")).sum()}, inputs);
    const auto second = grad({slope_penalty(*norm, x, Mode::train)}, inputs, {}, false, false, /*allow_unused=*/true);
    for (size_t i = 0; i < names.size(); ++i) {
      EXPECT_TRUE(close(first[i], stored.at(prefix + "grad_" + names[i]), kTolerance)) << prefix << names[i];
      EXPECT_TRUE(close(second[i], stored.at(prefix + "double_grad_" + names[i]), kTolerance)) << prefix << names[i];
    }
    for (const auto& item : norm->named_buffers()) {  // after two batches
      EXPECT_TRUE(close(item.value(), stored.at(prefix + "buffer_" + item.key()), kTolerance)) << prefix << item.key();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, NormParity,
                         testing::Values(NormKind::batch, NormKind::layer, NormKind::layer_position, NormKind::instance,
                                         NormKind::rms),
                         [](const auto& test) { return std::string(name_of(test.param)); });

class EveryNorm : public testing::TestWithParam<NormKind> {};

TEST_P(EveryNorm, OnlyTrainModeMovesAnything) {
  const auto kind = GetParam();
  for (const auto& sample_shape : sample_shapes(kind)) {
    const auto norm = trained_norm(kind, sample_shape);
    const auto x = normal(batch_of(5, sample_shape), 1);
    norm->forward(x, Mode::train);
    const auto before = copy_of(state_of(*norm));
    const auto frozen = norm->forward(5 * x + 2, Mode::train_frozen);
    norm->forward(5 * x + 2, Mode::eval);
    EXPECT_TRUE(equal(state_of(*norm), before));
    EXPECT_TRUE(close(norm->forward(5 * x + 2, Mode::train), frozen, 1e-14));
    EXPECT_EQ(bool(equal(state_of(*norm), before)), !norm->uses_batch_statistics());
  }
}

TEST_P(EveryNorm, SaysWhetherSamplesSeeEachOther) {
  const auto kind = GetParam();
  for (const auto& sample_shape : sample_shapes(kind)) {
    const auto norm = trained_norm(kind, sample_shape);
    const auto x = normal(batch_of(4, sample_shape), 1);
    const auto others = torch::cat({x.slice(0, 0, 1), normal(batch_of(3, sample_shape), 2)});
    const auto differs = [&](Mode mode) {
      return !close(norm->forward(x, mode)[0], norm->forward(others, mode)[0], 1e-12);
    };
    EXPECT_EQ(differs(Mode::train_frozen), norm->uses_batch_statistics());
    EXPECT_FALSE(differs(Mode::eval));
  }
  const bool expected = kind == NormKind::batch || kind == NormKind::mean_only_batch;
  EXPECT_EQ(trained_norm(kind, kImage)->uses_batch_statistics(), expected);
}

TEST_P(EveryNorm, IsFiniteWhereEverythingIsEqualOrZero) {
  const auto kind = GetParam();
  for (const auto& sample_shape : sample_shapes(kind)) {
    for (const auto dtype : {torch::kFloat, torch::kDouble}) {
      for (const auto mode : {Mode::train_frozen, Mode::eval}) {
        for (const double value : {0.0, 2.0}) {
          const auto norm = trained_norm(kind, sample_shape);
          norm->to(dtype);
          const auto x = torch::full(batch_of(5, sample_shape), value, dtype).requires_grad_(true);
          const auto output = norm->forward(x, mode);
          EXPECT_EQ(output.sizes(), x.sizes());
          EXPECT_EQ(output.scalar_type(), dtype);
          EXPECT_TRUE(torch::isfinite(output).all().item<bool>());
          EXPECT_TRUE(torch::isfinite(grad({output.square().sum()}, {x})[0]).all().item<bool>());
          const auto second = grad({slope_penalty(*norm, x, mode)}, {x}, {}, false, false, /*allow_unused=*/true)[0];
          EXPECT_TRUE(!second.defined() || torch::isfinite(second).all().item<bool>());
        }
      }
    }
  }
}

TEST_P(EveryNorm, DoubleBackwardMatchesFiniteDifferences) {
  const auto kind = GetParam();
  for (const auto& sample_shape : sample_shapes(kind)) {
    for (const auto mode : {Mode::train_frozen, Mode::eval}) {
      const auto norm = trained_norm(kind, sample_shape);
      const auto x = normal(batch_of(5, sample_shape), 1).requires_grad_(true);
      const auto direction = normal(batch_of(5, sample_shape), 2);
      constexpr double kStep = 1e-5;
      const auto penalty_at = [&](double step) {
        return slope_penalty(*norm, (x + step * direction).detach().requires_grad_(true), mode);
      };
      const auto numeric = (penalty_at(kStep) - penalty_at(-kStep)) / (2 * kStep);
      const auto analytic = (grad({slope_penalty(*norm, x, mode)}, {x})[0] * direction).sum();
      EXPECT_GT(analytic.abs().item<double>(), 1e-3);
      EXPECT_TRUE(close(analytic, numeric, 1e-7));
    }
  }
}

TEST_P(EveryNorm, InitializeResetsWhatItTrains) {
  const auto kind = GetParam();
  for (const auto& sample_shape : sample_shapes(kind)) {
    const auto norm = trained_norm(kind, sample_shape);
    norm->to(torch::kFloat);
    const auto before = copy_of(state_of(*norm));
    norm->initialize();
    EXPECT_TRUE(equal(state_of(*norm), state_of(*make_activation_norm(kind, sample_shape))));
    EXPECT_EQ(bool(equal(state_of(*norm), before)), norm->parameters().empty());
  }
}

TEST_P(EveryNorm, KeepsItsStatisticsOfHalfPrecisionActivationsInFloat32) {
  const auto kind = GetParam();
  for (const auto& sample_shape : sample_shapes(kind)) {
    const auto norm = trained_norm(kind, sample_shape);
    norm->to(torch::kFloat);
    const auto x = (normal(batch_of(5, sample_shape), 1) + 100).to(torch::kBFloat16);
    const auto expected = norm->forward(x.to(torch::kFloat), Mode::train_frozen);
    EXPECT_TRUE(close(norm->forward(x, Mode::train_frozen), expected, 1.0 / 128));
  }
}

std::vector<NormKind> all_kinds() {
  std::vector<NormKind> kinds;
  for (const auto& [kind, name] : Names<NormKind>::table) {
    if (kind != NormKind::none) kinds.push_back(kind);
  }
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryNorm, testing::ValuesIn(all_kinds()),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST(ActivationNorm, ParametersHavePyTorchsNames) {
  const auto names = [](NormKind kind) { return make_activation_norm(kind, kImage)->named_parameters().keys(); };
  for (const auto kind : {NormKind::batch, NormKind::layer, NormKind::layer_position}) {
    EXPECT_THAT(names(kind), UnorderedElementsAre("weight", "bias")) << name_of(kind);
  }
  for (const auto kind : {NormKind::rms, NormKind::scale_sample, NormKind::scale_position}) {
    EXPECT_THAT(names(kind), UnorderedElementsAre("weight")) << name_of(kind);
  }
  EXPECT_THAT(names(NormKind::mean_only_batch), UnorderedElementsAre("bias"));
  EXPECT_THAT(names(NormKind::instance), IsEmpty());
}

}  // namespace
}  // namespace sgan
