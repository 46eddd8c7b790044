#include "training/weight_tails.h"

#include <gtest/gtest.h>

#include "normalization/weight_statistics.h"
#include "tests/training/small_run.h"

namespace sgan {
namespace {

Config quantized_config() {
  auto config = digits_config();
  config.generator.quantizer = QuantizerKind::wnq;
  config.quantizer = {.bits = 0, .first_last_bits = 0};
  return config;
}

torch::Tensor weight_of(const NetworkImpl& network, const std::string& layer) {
  return network.named_parameters()[layer + ".weight"];
}

// Two updates of known gradients: the first would shrink the largest weight, the second would not.
TEST(WeightTails, CountsWhereGradientsPoint) {
  const auto config = quantized_config();
  auto state = fresh_state(config);
  ASSERT_TRUE(state.generator_tails.defined());
  EXPECT_FALSE(state.discriminator_tails.defined());
  WeightTails tails(state, config);
  auto weight = weight_of(*state.generator, "deconv0");
  {
    torch::NoGradGuard no_grad;
    weight.fill_(0.1);
    weight[0][1][0][0] = -3;
  }
  auto gradient = torch::zeros_like(weight);
  gradient[0][1][0][0] = -1;  // the step adds to −3
  tails.see("gradient of generator.deconv0.weight", gradient);
  gradient.fill_(1);  // that of 0.1 is taken from it; −3 goes away from zero
  tails.see("gradient of generator.deconv0.weight", gradient);
  tails.see("gradient of generator.deconv0.bias", gradient);
  tails.see("gradient of discriminator.conv0.weight", gradient);

  const auto report = tails.take_generator();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->updates, 2);
  ASSERT_EQ(report->layers.size(), state.generator->layers().size());
  const auto count = static_cast<double>(weight.numel());
  const auto& layer = report->layers[0];
  EXPECT_EQ(layer.layer, "deconv0");
  EXPECT_DOUBLE_EQ(layer.max_towards_zero, 0.5);
  EXPECT_DOUBLE_EQ(layer.all_towards_zero, (1 / count + (count - 1) / count) / 2);
  const auto shape = weight_shape_of(weight);
  EXPECT_DOUBLE_EQ(layer.kurtosis, shape.kurtosis);
  EXPECT_DOUBLE_EQ(layer.max_over_std, shape.max_over_std);
  EXPECT_GT(shape.kurtosis, 50);
  EXPECT_TRUE(std::isnan(report->layers[1].max_towards_zero));
  EXPECT_EQ(tails.take_generator()->updates, 0);
  EXPECT_FALSE(tails.take_discriminator());
}

TEST(WeightTails, CountsByChannelWhereChannelsHaveMaxima) {
  auto config = quantized_config();
  config.quantizer.per = QuantizerGroup::channel;
  auto state = fresh_state(config);
  WeightTails tails(state, config);
  auto weight = weight_of(*state.generator, "deconv0");  // (latent, out, k, k)
  const auto channels = weight.size(1);
  {
    torch::NoGradGuard no_grad;
    weight.fill_(0.1);
    weight.select(0, 0).select(1, 0).select(1, 0).fill_(1);
  }
  auto gradient = torch::zeros_like(weight);
  gradient[0][0][0][0] = 1;
  tails.see("gradient of generator.deconv0.weight", gradient);
  EXPECT_DOUBLE_EQ(tails.take_generator()->layers[0].max_towards_zero, 1.0 / static_cast<double>(channels));
}

// What training logs: every update counted, and the same again after a stop in between.
TEST(WeightTails, TrainingCountsEveryUpdateAndResumesTheCount) {
  auto config = quantized_config();
  config.discriminator.quantizer = QuantizerKind::dorefa;
  config.train.steps = 8;
  config.log.every = 4;
  const auto dataset = dataset_of(config);
  const auto train = [&](TrainingState& state, int64_t steps) {
    std::vector<LogPoint> points;
    LoopHooks hooks;
    hooks.on_log = [&](const LogPoint& point) { points.push_back(point); };
    hooks.stop_requested = [&] { return state.step >= steps; };
    run_loop(config, state, dataset, torch::kCPU, hooks);
    return points;
  };
  auto whole = fresh_state(config);
  const auto expected = train(whole, 8);
  ASSERT_EQ(expected.size(), 2u);
  for (const auto& point : expected) {
    EXPECT_EQ(point.generator_tails.value().updates, 4);
    EXPECT_EQ(point.discriminator_tails.value().updates, 4 * config.train.critic_steps);
    for (const auto& layer : point.generator_tails->layers) {
      EXPECT_GE(layer.max_towards_zero, 0);
      EXPECT_LE(layer.max_towards_zero, 1);
      EXPECT_NEAR(layer.all_towards_zero, 0.5, 0.3);
    }
  }
  auto part = fresh_state(config);
  train(part, 6);
  const auto rest = train(part, 8);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].generator_tails->updates, 4);
  for (size_t i = 0; i < rest[0].generator_tails->layers.size(); ++i) {
    EXPECT_EQ(rest[0].generator_tails->layers[i].max_towards_zero,
              expected[1].generator_tails->layers[i].max_towards_zero);
  }
}

TEST(WeightTails, SayNothingWithoutAQuantizer) {
  const auto config = digits_config();
  auto state = fresh_state(config);
  EXPECT_FALSE(state.generator_tails.defined());
  LoopHooks hooks;
  int64_t points = 0;
  hooks.on_log = [&](const LogPoint& point) {
    ++points;
    EXPECT_FALSE(point.generator_tails);
  };
  run_loop(config, state, dataset_of(config), torch::kCPU, hooks);
  EXPECT_GT(points, 0);
}

}  // namespace
}  // namespace sgan
