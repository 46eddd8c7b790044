#include "training/ema.h"

#include <gtest/gtest.h>

#include "tests/fixtures/fixture.h"
#include "tests/training/small_run.h"

namespace sgan {
namespace {

TEST(Ema, DecayWarmsUp) {
  const EmaOptions warm{.decay = 0.999, .warmup = true};
  EXPECT_DOUBLE_EQ(ema_decay(warm, 1), 2.0 / 11.0);
  EXPECT_DOUBLE_EQ(ema_decay(warm, 90), 0.91);
  EXPECT_DOUBLE_EQ(ema_decay(warm, 1'000'000), 0.999);
  EXPECT_DOUBLE_EQ(ema_decay({.decay = 0.999, .warmup = false}, 1), 0.999);
  EXPECT_DOUBLE_EQ(ema_decay({.decay = 0.1, .warmup = true}, 1), 0.1);
}

TEST(Ema, AveragesParametersAndCopiesBuffers) {
  auto config = digits_config();
  config.generator.weight = WeightKind::spectral;
  const auto source_state = trained_state(config);
  config.seed = 1;
  const auto average_state = fresh_state(config);
  const auto& source = *source_state.generator;
  auto& average = *average_state.generator;
  const auto before = copy_of(state_of(average));
  const auto theirs = copy_of(state_of(source));
  update_ema(average, source, 0.75);
  EXPECT_TRUE(equal(state_of(source), theirs));

  const auto after = state_of(average);
  for (const auto& item : average.named_parameters()) {
    const auto& name = item.key();
    EXPECT_FALSE(torch::equal(before.at(name), theirs.at(name))) << name;
    EXPECT_TRUE(close(after.at(name), 0.75 * before.at(name) + 0.25 * theirs.at(name), 1e-7)) << name;
  }
  std::set<std::string> copied;
  for (const auto& item : average.named_buffers()) {
    const bool differed = !torch::equal(before.at(item.key()), theirs.at(item.key()));
    EXPECT_TRUE(differed || item.value().numel() == 1) << item.key();  // the u of one output is 1 or -1
    EXPECT_TRUE(torch::equal(after.at(item.key()), theirs.at(item.key()))) << item.key();
    copied.insert(item.key().substr(item.key().rfind('.') + 1));
  }
  EXPECT_EQ(copied, (std::set<std::string>{"_u", "_v", "running_mean", "running_var", "num_batches_tracked"}));
}

TEST(Ema, TakesADecayOnTheDevice) {
  auto config = digits_config();
  const auto source = trained_state(config);
  config.seed = 1;
  for (const double decay : {0.2, 0.75, 0.9993}) {  // the mean is taken from the nearer side
    const auto by_number = fresh_state(config);
    const auto by_tensor = fresh_state(config);
    update_ema(*by_number.generator, *source.generator, decay);
    update_ema(*by_tensor.generator, *source.generator, torch::full({}, decay, torch::kDouble));
    EXPECT_TRUE(equal(state_of(*by_tensor.generator), state_of(*by_number.generator))) << decay;
  }
}

}  // namespace
}  // namespace sgan
