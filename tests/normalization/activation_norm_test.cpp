#include "normalization/activation_norm.h"

#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/functional/batchnorm.h>
#include <torch/nn/functional/normalization.h>

#include <string>
#include <vector>

#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

namespace F = torch::nn::functional;
using testing::UnorderedElementsAre;
using torch::autograd::grad;

constexpr int64_t kChannels = 3;
const std::vector<std::vector<int64_t>> kShapes{{5, kChannels}, {5, kChannels, 4, 2}};

torch::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return torch::randn(shape, make_generator(seed, torch::kCPU), torch::kDouble);
}

// γ or β, (C), in the shape that multiplies an activation of that many dimensions.
torch::Tensor per_channel(const torch::Tensor& values, int64_t dims) {
  std::vector<int64_t> shape(static_cast<size_t>(dims), 1);
  shape[1] = kChannels;
  return values.view(shape);
}

// A norm in float64 with gains and biases that are not 1 and 0.
ActivationNorm make_trained(NormKind kind) {
  auto norm = make_activation_norm(kind, kChannels);
  norm->to(torch::kDouble);
  torch::NoGradGuard no_grad;
  norm->named_parameters()["weight"].copy_(torch::tensor({0.5, 1.0, -2.0}));
  norm->named_parameters()["bias"].copy_(torch::tensor({0.1, -0.2, 0.3}));
  return norm;
}

TEST(ActivationNorm, NoneIsNull) {
  EXPECT_EQ(make_activation_norm(NormKind::none, kChannels), nullptr);
}

TEST(ActivationNorm, BatchMatchesTorchAndTheFormula) {
  for (const auto& shape : kShapes) {
    const auto norm = make_trained(NormKind::batch);
    const auto state = state_of(*norm);
    const auto gain = state.at("weight");
    const auto bias = state.at("bias");
    const auto dims = static_cast<int64_t>(shape.size());
    auto mean = torch::zeros({kChannels}, torch::kDouble);
    auto variance = torch::ones({kChannels}, torch::kDouble);
    for (const uint64_t seed : {1, 2}) {
      const auto x = 3 * normal(shape, seed) + 1;
      const auto output = norm->forward(x, Mode::train);
      const auto torchs = F::batch_norm(
          x, mean, variance, F::BatchNormFuncOptions().weight(gain).bias(bias).training(true).momentum(0.1).eps(1e-5));
      EXPECT_TRUE(torch::equal(output, torchs));
      EXPECT_TRUE(torch::equal(state.at("running_mean"), mean));
      EXPECT_TRUE(torch::equal(state.at("running_var"), variance));
    }

    // The formula, with a biased variance in the output and an unbiased one in the running statistics.
    const auto fresh = make_trained(NormKind::batch);
    const auto x = 3 * normal(shape, 3) + 1;
    const auto rows = x.transpose(0, 1).flatten(1);
    const auto biased = rows.var(1, /*unbiased=*/false);
    const auto output = fresh->forward(x, Mode::train);
    const auto expected =
        (x - per_channel(rows.mean(1), dims)) / (per_channel(biased, dims) + 1e-5).sqrt() * per_channel(gain, dims) +
        per_channel(bias, dims);
    EXPECT_TRUE(close(output, expected, 1e-13));
    EXPECT_TRUE(close(fresh->named_buffers()["running_mean"], 0.1 * rows.mean(1), 1e-14));
    EXPECT_TRUE(close(fresh->named_buffers()["running_var"], 0.9 + 0.1 * rows.var(1, /*unbiased=*/true), 1e-14));
    EXPECT_EQ(fresh->named_buffers()["num_batches_tracked"].item<int64_t>(), 1);

    const auto evaluated = fresh->forward(x, Mode::eval);
    const auto running_mean = per_channel(fresh->named_buffers()["running_mean"], dims);
    const auto running_var = per_channel(fresh->named_buffers()["running_var"], dims);
    EXPECT_TRUE(close(
        evaluated, (x - running_mean) / (running_var + 1e-5).sqrt() * per_channel(gain, dims) + per_channel(bias, dims),
        1e-13));
  }
}

TEST(ActivationNorm, LayerMatchesTorchAndTheFormula) {
  for (const auto& shape : kShapes) {
    const auto norm = make_trained(NormKind::layer);
    const auto x = 3 * normal(shape, 1) + 1;
    const auto dims = static_cast<int64_t>(shape.size());
    const auto gain = per_channel(norm->named_parameters()["weight"], dims);
    const auto bias = per_channel(norm->named_parameters()["bias"], dims);
    const auto output = norm->forward(x, Mode::train);
    const std::vector<int64_t> normalized_shape(shape.begin() + 1, shape.end());
    EXPECT_TRUE(close(output, F::layer_norm(x, F::LayerNormFuncOptions(normalized_shape)) * gain + bias, 1e-13));

    for (int64_t sample = 0; sample < shape[0]; ++sample) {
      const auto one = x[sample];
      const auto normalized = (one - one.mean()) / (one.var(/*unbiased=*/false) + 1e-5).sqrt();
      EXPECT_TRUE(close(output[sample], normalized * gain[0] + bias[0], 1e-13));
    }
    EXPECT_TRUE(torch::equal(norm->forward(x, Mode::eval), output));
  }
}

class EveryNorm : public testing::TestWithParam<std::pair<NormKind, std::string_view>> {};

TEST_P(EveryNorm, OnlyTrainModeMovesAnything) {
  const auto kind = GetParam().first;
  if (kind == NormKind::none) return;
  const auto norm = make_trained(kind);
  const auto x = normal({5, kChannels, 4, 4}, 1);
  norm->forward(x, Mode::train);
  const auto before = copy_of(state_of(*norm));
  const auto frozen = norm->forward(5 * x + 2, Mode::train_frozen);
  norm->forward(5 * x + 2, Mode::eval);
  EXPECT_TRUE(equal(state_of(*norm), before));
  EXPECT_TRUE(close(norm->forward(5 * x + 2, Mode::train), frozen, 1e-14));
  EXPECT_EQ(bool(equal(state_of(*norm), before)), !norm->uses_batch_statistics());
}

TEST_P(EveryNorm, SaysWhetherSamplesSeeEachOther) {
  const auto kind = GetParam().first;
  if (kind == NormKind::none) return;
  const auto norm = make_trained(kind);
  const auto x = normal({4, kChannels, 4, 4}, 1);
  const auto others = torch::cat({x.slice(0, 0, 1), normal({3, kChannels, 4, 4}, 2)});
  const auto differs = [&](Mode mode) {
    return !close(norm->forward(x, mode)[0], norm->forward(others, mode)[0], 1e-12);
  };
  EXPECT_EQ(differs(Mode::train_frozen), norm->uses_batch_statistics());
  EXPECT_FALSE(differs(Mode::eval));
}

TEST_P(EveryNorm, IsFiniteAndTwiceDifferentiable) {
  const auto kind = GetParam().first;
  if (kind == NormKind::none) return;
  for (const auto& shape : kShapes) {
    for (const auto mode : {Mode::train_frozen, Mode::eval}) {
      const auto norm = make_trained(kind);
      const auto flat = torch::full(shape, 2.0, torch::kDouble).requires_grad_(true);
      const auto output = norm->forward(flat, mode);
      EXPECT_EQ(output.sizes(), flat.sizes());
      EXPECT_TRUE(torch::isfinite(output).all().item<bool>());
      EXPECT_TRUE(torch::isfinite(grad({output.square().sum()}, {flat})[0]).all().item<bool>());

      // A gradient penalty's gradient against central differences along one direction.
      const auto penalty = [&](const torch::Tensor& at) {
        const auto loss = norm->forward(at, mode).pow(3).sum();
        return grad({loss}, {at}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0].square().mean();
      };
      const auto x = normal(shape, 1).requires_grad_(true);
      const auto direction = normal(shape, 2);
      constexpr double kStep = 1e-5;
      const auto numeric = (penalty((x + kStep * direction).detach().requires_grad_(true)) -
                            penalty((x - kStep * direction).detach().requires_grad_(true))) /
                           (2 * kStep);
      const auto analytic = (grad({penalty(x)}, {x})[0] * direction).sum();
      EXPECT_GT(analytic.abs().item<double>(), 0.01);
      EXPECT_TRUE(close(analytic, numeric, 1e-6));
    }
  }
}

TEST_P(EveryNorm, InitializeResetsGainAndBias) {
  const auto kind = GetParam().first;
  if (kind == NormKind::none) return;
  const auto norm = make_trained(kind);
  EXPECT_THAT(norm->named_parameters().keys(), UnorderedElementsAre("weight", "bias"));
  norm->initialize();
  EXPECT_TRUE(torch::equal(norm->named_parameters()["weight"], torch::ones({kChannels}, torch::kDouble)));
  EXPECT_TRUE(torch::equal(norm->named_parameters()["bias"], torch::zeros({kChannels}, torch::kDouble)));
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryNorm, testing::ValuesIn(Names<NormKind>::table),
                         [](const auto& test) { return std::string(test.param.second); });

}  // namespace
}  // namespace sgan
