#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <algorithm>

#include "evaluation/assignment.h"
#include "exchange/certified_network.h"
#include "losses/adversarial.h"
#include "tests/models/seeded_network.h"
#include "training/optimizer.h"

// A critic's value as an estimate of the Wasserstein distance: by Kantorovich duality the mean difference of a
// 1-Lipschitz critic never exceeds W1 of the same samples. Here between images N(μ, s²I) and N(−μ, s²I), where W1 of
// the distributions is 2‖μ‖ and that of the samples is computed exactly.

namespace sgan {
namespace {

constexpr int64_t kSize = 16;
constexpr double kMean = 0.5;  // of every pixel: ‖μ‖ = 8
constexpr double kStd = 0.3;
constexpr int64_t kSamples = 256;
constexpr int kSeeds = 20;
constexpr int kUpdates = 200;

struct Pair {
  torch::Tensor positive;
  torch::Tensor negative;
};

Pair draw(int64_t count, uint64_t seed) {
  const auto noise = [&](uint64_t index) {
    return kStd * draw_normal({count, 1, kSize, kSize}, stream_seed(seed, Stream::data, index));
  };
  return {kMean + noise(1), -kMean + noise(2)};
}

Network train_critic(WeightKind weight, uint64_t seed) {
  auto config = network_config(NetworkKind::dcgan, NormKind::none, weight);
  const auto critic = make_discriminator(config, {1, kSize, kSize});
  initialize(*critic, seed);
  NamedTensors parameters;
  for (const auto& item : critic->named_parameters()) parameters.emplace_back(item.key(), item.value());
  Optimizer optimizer(parameters, {.lr = 2e-3});
  const auto& loss = adversarial_loss(LossKind::wgan);
  for (int update = 0; update < kUpdates; ++update) {
    const auto [real, fake] = draw(64, stream_seed(seed, Stream::order, static_cast<uint64_t>(update)));
    critic->advance_parametrizations();
    const auto weights = critic->effective_weights();
    const auto value =
        loss.discriminator(critic->forward(real, weights, Mode::train), critic->forward(fake, weights, Mode::train));
    optimizer.step(torch::autograd::grad({value}, optimizer.parameters()), 1.0);
  }
  return critic;
}

// mean f(positive) − mean f(negative), in float64.
double estimate(const Network& critic, const EffectiveWeights& weights, const Pair& samples) {
  torch::NoGradGuard no_grad;
  EffectiveWeights wide;
  for (const auto& [name, layer] : critic->layers()) wide.set(*layer, weights.of(*layer).to(torch::kDouble));
  critic->to(torch::kDouble);
  const auto mean = [&](const torch::Tensor& images) {
    return critic->forward(images.to(torch::kDouble), wide, Mode::eval).mean().item<double>();
  };
  return mean(samples.positive) - mean(samples.negative);
}

// The exported biases, which a forward pass reads from the layers.
void take_biases(const Network& critic, const PlainNetwork& plain) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, layer] : critic->layers()) {
    if (auto bias = layer->bias(); bias.defined()) bias.copy_(plain.bias_of(name));
  }
}

TEST(Wasserstein, CertifiedCriticsNeverExceedTheExactDistanceAndReshapedOnesDo) {
  torch::set_num_threads(1);
  double w1_sum = 0, reshaped_sum = 0, operator_sum = 0, certified_sum = 0;
  int reshaped_above = 0, operator_above = 0, certified_above = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    const auto samples = draw(kSamples, seed);
    const double w1 = exact_w1(samples.positive, samples.negative);

    const auto reshaped = train_critic(WeightKind::spectral, seed);
    const double by_reshape = estimate(reshaped, reshaped->frozen_weights(), samples);

    const auto trained = train_critic(WeightKind::spectral_operator, seed);
    const auto certified = certify(*trained, 1);
    const auto weights = trained->frozen_weights();
    const double by_operator = estimate(trained, weights, samples);
    take_biases(trained, certified.plain);
    const double by_certificate = estimate(trained, weights_of(certified.plain, *trained), samples);

    EXPECT_LE(by_certificate, w1);
    EXPECT_GT(by_certificate, 0.5 * w1);  // and the certificate is no empty one
    w1_sum += w1;
    reshaped_sum += by_reshape;
    operator_sum += by_operator;
    certified_sum += by_certificate;
    reshaped_above += by_reshape > w1;
    operator_above += by_operator > w1;
    certified_above += by_certificate > w1;
  }
  EXPECT_EQ(certified_above, 0);
  EXPECT_EQ(reshaped_above, kSeeds);

  fmt::print("W1 of N(±μ, s²I), 16×16 pixels, ‖μ‖ = 8, s = {}, 2×{} samples, {} seeds; 2‖μ‖ = 16\n", kStd, kSamples,
             kSeeds);
  fmt::print("| estimate | mean | above the exact W1 |\n|---|---|---|\n");
  fmt::print("| exact W1 of the samples | {:.2f} | |\n", w1_sum / kSeeds);
  const auto row = [](const char* name, double sum, int above) {
    fmt::print("| {} | {:.2f} | {} of {} seeds |\n", name, sum / kSeeds, above, kSeeds);
  };
  row("critic, spectral (reshape)", reshaped_sum, reshaped_above);
  row("critic, spectral_operator, as trained", operator_sum, operator_above);
  row("the same, certified export", certified_sum, certified_above);
}

}  // namespace
}  // namespace sgan
