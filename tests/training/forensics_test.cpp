#include "training/forensics.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/training/small_run.h"

namespace sgan {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const auto kGoOn = [](int64_t) { return true; };

std::vector<std::string> names_of(const std::vector<TensorFacts>& tensors) {
  std::vector<std::string> names;
  for (const auto& tensor : tensors) names.push_back(tensor.name);
  return names;
}

TEST(Forensics, NamesARealSampleThatIsNoNumber) {
  const auto config = planar_config();
  auto data = dataset_of(config);
  data.samples = data.samples.clone();
  data.samples[11][1] = std::nanf("");
  auto state = fresh_state(config);
  const auto found = find_divergence(config, state, data, torch::kCPU, 1000, kGoOn);
  ASSERT_TRUE(found.reproduced);
  EXPECT_EQ(found.update, "discriminator");
  EXPECT_EQ(found.first, "real samples");
  EXPECT_EQ(found.operation, "");  // given, whatever the operations after it made of it
  EXPECT_EQ(found.step, state.step + 1);
  EXPECT_EQ(found.update_number, state.discriminator_updates);
  EXPECT_LE(found.step, 6);  // 64 points in batches of 6, two updates a step
  ASSERT_TRUE(found.sample.has_value());
  EXPECT_TRUE(std::isnan(found.inputs.at("real")[*found.sample][1].item<float>()));
  EXPECT_EQ(found.tensors.front().name, "real samples");
  EXPECT_EQ(found.tensors.front().not_finite, 1);
  for (const auto& before : found.before) EXPECT_EQ(before.not_finite, 0) << before.name;
}

TEST(Forensics, NamesAnImageThatIsNoNumber) {
  auto config = digits_config();
  config.train.batch = 64;
  config.train.steps = 200;
  auto data = dataset_of(config);
  data.samples = as_network_input(data.samples, {});
  data.samples[1000] = std::nanf("");
  auto run = fresh_state(config);
  int64_t noticed_at = 0;
  try {
    run_loop(config, run, data, torch::kCPU, {});
  } catch (const DivergenceError& error) {
    noticed_at = error.step();
  }
  ASSERT_GT(noticed_at, 0);
  auto state = fresh_state(config);
  const auto found = find_divergence(config, state, data, torch::kCPU, noticed_at, kGoOn);
  EXPECT_EQ(found.step, noticed_at);
  EXPECT_EQ(found.first, "real samples");
  ASSERT_TRUE(found.sample.has_value());
  EXPECT_TRUE(found.inputs.at("real")[*found.sample].isnan().all().item<bool>());
}

// What it finds is the run's own step: the loop diverges at the same one.
TEST(Forensics, FindsWhereTheRunDiverged) {
  auto config = planar_config();
  config.loss = LossKind::wgan;
  config.optimizer.discriminator = {.kind = OptimizerKind::sgd, .lr = 1e9};
  config.train.steps = 100;
  const auto data = dataset_of(config);
  auto run = fresh_state(config);
  int64_t diverged_at = 0;
  try {
    run_loop(config, run, data, torch::kCPU, {});
  } catch (const DivergenceError& error) {
    diverged_at = error.step();
  }
  ASSERT_GT(diverged_at, 0);
  auto state = fresh_state(config);
  const auto found = find_divergence(config, state, data, torch::kCPU, diverged_at, kGoOn);
  ASSERT_TRUE(found.reproduced);
  // A state may be infinite an update before a loss is.
  EXPECT_LE(found.step, diverged_at);
  EXPECT_GE(found.step, diverged_at - 1);
  EXPECT_THAT(found.operation, StartsWith("aten::"));
  const auto first = std::ranges::find(found.tensors, found.first, &TensorFacts::name);
  ASSERT_NE(first, found.tensors.end());
  EXPECT_GT(first->not_finite, 0);
  for (auto fact = found.tensors.begin(); fact != first; ++fact) EXPECT_EQ(fact->not_finite, 0) << fact->name;
}

TEST(Forensics, NamesTheGeneratorsUpdate) {
  auto config = planar_config();
  // A steep critic gives the generator gradients above 1, and this rate times them is beyond float32.
  config.loss = LossKind::wgan;
  config.optimizer.discriminator = {.kind = OptimizerKind::sgd, .lr = 100};
  config.optimizer.generator = {.kind = OptimizerKind::sgd, .lr = 3e38};
  auto state = fresh_state(config);
  const auto found = find_divergence(config, state, dataset_of(config), torch::kCPU, 100, kGoOn);
  ASSERT_TRUE(found.reproduced);
  EXPECT_EQ(found.update, "generator");
  EXPECT_THAT(found.first, StartsWith("updated generator."));
  EXPECT_THAT(found.operation, HasSubstr("add_"));  // parameter += -rate * gradient
  EXPECT_THAT(names_of(found.tensors), testing::Contains("generator's loss"));
  // Not once more as a tensor of the state.
  const auto parameter = found.first.substr(std::string("updated ").size());
  EXPECT_THAT(names_of(found.tensors), testing::Not(testing::Contains(parameter)));
  EXPECT_THAT(names_of(found.before), testing::Contains(parameter));
}

int64_t not_finite_in(const std::vector<TensorFacts>& tensors, const std::string& name) {
  const auto found = std::ranges::find(tensors, name, &TensorFacts::name);
  return found != tensors.end() ? found->not_finite : -1;
}

// The critic's slope is steep: the generator's gradients are finite, their squares beyond float32. All that a step
// shows stays finite, and so do the losses; a run notices where it is to save the state.
TEST(Forensics, FindsAMomentThatAloneIsNotFinite) {
  auto config = planar_config();
  config.loss = LossKind::wgan;
  config.optimizer.discriminator = {.kind = OptimizerKind::sgd, .lr = 1e13};
  config.train.critic_steps = 1;
  config.generator.norm = NormKind::none;
  config.train.steps = 1;
  const auto data = dataset_of(config);
  auto run = fresh_state(config);
  run_loop(config, run, data, torch::kCPU, {});
  const auto saved = first_not_finite(named_tensors(run));
  ASSERT_TRUE(saved.has_value());

  // And where the run saw only what came of it later.
  for (const int64_t noticed_at : {1, 2}) {
    auto state = fresh_state(config);
    const auto found = find_divergence(config, state, data, torch::kCPU, noticed_at, kGoOn);
    ASSERT_TRUE(found.reproduced);
    EXPECT_EQ(found.first, *saved);
    EXPECT_THAT(found.first, testing::MatchesRegex("optimizer\\.generator\\..*\\.exp_avg_sq"));
    EXPECT_EQ(found.operation, "aten::_fused_adam_");
    EXPECT_EQ(found.update, "generator");
    EXPECT_EQ(found.step, 1);
    EXPECT_GT(not_finite_in(found.tensors, found.first), 0);
    for (const auto& tensor : found.tensors) {
      if (!tensor.name.ends_with(".exp_avg_sq")) {
        EXPECT_EQ(tensor.not_finite, 0) << tensor.name;
      }
    }
    for (const auto& before : found.before) EXPECT_EQ(before.not_finite, 0) << before.name;
    EXPECT_EQ(state.step, 0);
    EXPECT_THAT(found.inputs, testing::Contains(testing::Key("latent")));
  }
}

// Weights so large that activations are finite and their variance is not: what comes out is finite again.
TEST(Forensics, FindsABufferThatAloneIsNotFinite) {
  const auto config = planar_config();
  auto state = fresh_state(config);
  {
    torch::NoGradGuard no_grad;
    for (auto& parameter : state.generator->named_parameters()) {
      if (parameter.value().dim() == 2) {
        parameter.value().mul_(1e25F);
        break;
      }
    }
  }
  const auto found = find_divergence(config, state, dataset_of(config), torch::kCPU, 3, kGoOn);
  ASSERT_TRUE(found.reproduced);
  EXPECT_EQ(found.update, "generator");
  EXPECT_THAT(found.first, testing::AllOf(StartsWith("generator."), HasSubstr("running_var")));
  EXPECT_THAT(found.operation, HasSubstr("batch_norm"));
  EXPECT_GT(not_finite_in(found.tensors, found.first), 0);
}

TEST(Forensics, AHealthyRunIsNotReproduced) {
  const auto config = planar_config();
  auto state = fresh_state(config);
  std::vector<int64_t> steps;
  const auto found = find_divergence(config, state, dataset_of(config), torch::kCPU, 3, [&](int64_t step) {
    steps.push_back(step);
    return true;
  });
  EXPECT_FALSE(found.reproduced);
  EXPECT_THAT(steps, testing::ElementsAre(1, 2, 3));
  // And what it did were the run's steps.
  auto config_of_run = config;
  config_of_run.train.steps = 3;
  EXPECT_TRUE(equal(tensors_of(state), tensors_of(trained_state(config_of_run))));
}

TEST(Forensics, CanBeGivenUp) {
  const auto config = planar_config();
  auto state = fresh_state(config);
  const auto found =
      find_divergence(config, state, dataset_of(config), torch::kCPU, 100, [](int64_t step) { return step < 2; });
  EXPECT_FALSE(found.reproduced);
  EXPECT_EQ(state.step, 2);
}

}  // namespace
}  // namespace sgan
