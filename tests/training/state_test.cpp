#include "training/state.h"

#include <gmock/gmock.h>

#include "tests/fixtures/fixture.h"
#include "tests/training/small_run.h"

namespace sgan {
namespace {

using testing::Not;
using testing::StartsWith;

TEST(TrainingState, IsDecidedByTheSeed) {
  auto config = digits_config();
  config.discriminator.weight = WeightKind::spectral;
  const auto first = tensors_of(fresh_state(config));
  torch::manual_seed(7);  // the global generator has no say
  EXPECT_TRUE(equal(tensors_of(fresh_state(config)), first));
  config.seed = 1;
  EXPECT_FALSE(torch::equal(tensors_of(fresh_state(config)).at("generator.deconv0.weight"),
                            first.at("generator.deconv0.weight")));
}

TEST(TrainingState, StrategiesStartFromOneGenerator) {
  const auto base = fresh_state(digits_config());
  for (const auto& strategy : strategies()) {
    auto config = digits_config();
    strategy.apply(config);
    const auto state = fresh_state(config);
    EXPECT_TRUE(equal(state_of(*state.generator), state_of(*base.generator))) << strategy.name;
  }
}

TEST(TrainingState, BothNetworksDrawTheirOwnNumbers) {
  // conv0 (4, 1, 4, 4) and deconv1 (4, 1, 4, 4) have one shape; so have u, v in two spectral networks of one layout.
  auto config = planar_config();
  config.generator = {.kind = NetworkKind::mlp,
                      .latent = 2,
                      .channels = 8,
                      .depth = 1,
                      .norm = NormKind::none,
                      .weight = WeightKind::spectral};
  config.discriminator = {.kind = NetworkKind::mlp, .channels = 8, .depth = 1, .weight = WeightKind::spectral};
  config.spectral.warmup = 0;
  const auto tensors = tensors_of(fresh_state(config));
  for (const std::string name : {"linear0.bias", "linear0.parametrizations.weight.original",
                                 "linear0.parametrizations.weight.0._u", "linear0.parametrizations.weight.0._v"}) {
    EXPECT_FALSE(torch::equal(tensors.at("generator." + name), tensors.at("discriminator." + name))) << name;
  }
}

TEST(TrainingState, AveragedGeneratorStartsAsTheGenerator) {
  auto config = digits_config();
  const auto state = fresh_state(config);
  ASSERT_NE(state.generator_ema, nullptr);
  EXPECT_TRUE(equal(state_of(*state.generator_ema), state_of(*state.generator)));
  EXPECT_EQ(&state.sampler(), state.generator_ema.get());
  EXPECT_EQ(state.sample_shape, (std::vector<int64_t>{1, 8, 8}));

  config.ema.decay = 0;
  const auto plain = fresh_state(config);
  EXPECT_EQ(plain.generator_ema, nullptr);
  EXPECT_EQ(&plain.sampler(), plain.generator.get());
  for (const auto& [name, tensor] : named_tensors(plain)) EXPECT_THAT(name, Not(StartsWith("generator_ema.")));
}

TEST(TrainingState, NamesEveryTensorOnce) {
  auto config = digits_config();
  config.discriminator.weight = WeightKind::spectral;
  const auto state = fresh_state(config);
  const auto listed = named_tensors(state);
  const auto tensors = tensors_of(state);
  EXPECT_EQ(listed.size(), tensors.size());
  for (const std::string name :
       {"generator.deconv0.weight", "generator.norm0.running_var", "generator_ema.deconv1.bias",
        "discriminator.conv0.parametrizations.weight.0._u", "optimizer.generator.norm0.weight.exp_avg_sq",
        "optimizer.discriminator.conv0.parametrizations.weight.original.exp_avg",
        "optimizer.discriminator.conv1.bias.step"}) {
    EXPECT_TRUE(tensors.contains(name)) << name;
  }
}

}  // namespace
}  // namespace sgan
