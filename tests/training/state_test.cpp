#include "training/state.h"

#include <gmock/gmock.h>

#include "models/latent.h"
#include "run/random_streams.h"
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

// On the CPU weights and their optimizer's state lie as convolutions want them, so that no update copies them.
TEST(TrainingState, StoresWeightsWithChannelsLast) {
  auto config = digits_config();
  config.discriminator.weight = WeightKind::spectral;
  const auto state = fresh_state(config);
  int64_t checked = 0;
  for (const auto& [name, tensor] : named_tensors(state)) {
    if (tensor.dim() != 4) continue;
    EXPECT_TRUE(tensor.is_contiguous(torch::MemoryFormat::ChannelsLast)) << name;
    ++checked;
  }
  EXPECT_GT(checked, 10);
  const auto weights = state.generator->frozen_weights();
  for (const auto& [name, layer] : state.generator->layers()) {
    EXPECT_EQ(weights.of(*layer).const_data_ptr(), layer->parametrization().effective().const_data_ptr()) << name;
  }
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

struct FirstBatch {
  torch::Tensor real;
  torch::Tensor latent;
};

FirstBatch first_batch(const Config& config) {
  return {torch::randn({16, 1, 8, 8}, make_generator(1, torch::kCPU)),
          draw_latents(config.generator, 16, make_generator(2, torch::kCPU), torch::kCPU)};
}

TEST(TrainingState, InitializesWeightNormFromData) {
  auto config = digits_config();
  config.generator.weight = config.discriminator.weight = WeightKind::weight_norm;
  EXPECT_TRUE(needs_data_initialization(config));
  const auto [real, latent] = first_batch(config);
  auto state = fresh_state(config);
  const auto before = copy_of(tensors_of(state));
  initialize_from_data(state, config, real, latent);

  EXPECT_NEAR(state.discriminator->forward(real, Mode::train_frozen).var(0, /*unbiased=*/false).item<double>(), 1,
              1e-4);
  EXPECT_FALSE(equal(state_of(*state.generator), copy_of(state_of(*fresh_state(config).generator))));
  EXPECT_TRUE(equal(state_of(*state.generator_ema), state_of(*state.generator)));
  for (const auto& [name, tensor] : tensors_of(state)) {
    if (name.starts_with("optimizer.")) {
      EXPECT_TRUE(torch::equal(tensor, before.at(name))) << name;
    }
  }
  auto again = fresh_state(config);
  initialize_from_data(again, config, real, latent);
  EXPECT_TRUE(equal(tensors_of(again), tensors_of(state)));
}

TEST(TrainingState, DataInitializationReachesWeightNormAlone) {
  auto config = digits_config();
  config.discriminator.weight = WeightKind::weight_norm;
  const auto [real, latent] = first_batch(config);
  auto state = fresh_state(config);
  const auto before = copy_of(tensors_of(state));
  const auto generator = copy_of(state_of(*state.generator));

  config.weight_norm.data_init = false;
  EXPECT_FALSE(needs_data_initialization(config));
  initialize_from_data(state, config, real, latent);
  EXPECT_TRUE(equal(tensors_of(state), before));

  config.weight_norm.data_init = true;
  EXPECT_TRUE(needs_data_initialization(config));
  initialize_from_data(state, config, real, latent);
  EXPECT_TRUE(equal(state_of(*state.generator), generator));
  EXPECT_FALSE(equal(tensors_of(state), before));
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
