#include "training/captured_step.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include <limits>
#include <stdexcept>

#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"
#include "tests/temporary_folder.h"
#include "tests/training/small_run.h"
#include "training/checkpoint.h"
#include "training/schedule.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Stands in for a device on the CPU: a replay calls the function again. As a device would not see what the host has
// counted since the capture, the counters are nonsense meanwhile.
class FakeRecorder : public GraphRecorder {
 public:
  explicit FakeRecorder(TrainingState& state) : state_(state) {}

  void rehearse(const std::function<void()>& work) override {
    ++rehearsals;
    work();
  }

  std::unique_ptr<CapturedWork> capture(const std::function<void()>& work) override {
    const auto number = captures++;
    if (refuses && refuses(number)) throw std::runtime_error("the device waits\nframe #0");
    return std::make_unique<Work>(*this, work);
  }

  std::function<bool(int64_t)> refuses;  // whether the capture with this number fails
  int64_t rehearsals = 0;
  int64_t captures = 0;
  int64_t replays = 0;

 private:
  class Work : public CapturedWork {
   public:
    Work(FakeRecorder& recorder, std::function<void()> work) : recorder_(recorder), work_(std::move(work)) {}

    void replay() override {
      ++recorder_.replays;
      auto& state = recorder_.state_;
      const auto counted = std::pair(state.step, state.discriminator_updates);
      state.step = state.discriminator_updates = 1'000'003;
      work_();
      std::tie(state.step, state.discriminator_updates) = counted;
    }

   private:
    FakeRecorder& recorder_;
    std::function<void()> work_;
  };

  TrainingState& state_;
};

torch::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return torch::randn(shape, make_generator(seed, torch::kCPU));
}

// Every number drawn from the update's number; nothing of the batch stays after the update.
class Steps {
 public:
  Steps(const Config& config, TrainingState& state, AdversarialStep& step)
      : config_(config), state_(state), step_(step) {}

  // One step with two discriminator updates; copies of what both networks report.
  std::vector<torch::Tensor> take(bool measure) {
    const auto factor = learning_rate_factor(config_, state_.step);
    std::vector<torch::Tensor> values;
    torch::Tensor real;
    for (const bool last : {false, true}) {
      auto batch = batch_at(state_.discriminator_updates);
      const auto d = step_.update_discriminator(batch, factor, measure && last);
      for (const auto& value : {d.loss, d.penalty, d.critic_real, d.critic_fake, d.grad_norm}) add(values, value);
      real = batch.real.clone();
      spoil(batch.real);
      spoil(batch.latent);
      for (auto& noise : batch.penalty_noise) spoil(noise);
    }
    auto latent = normal({kBatch, config_.generator.latent}, 3'000 + state_.step);
    const auto g = step_.update_generator(latent, real, factor, measure);
    for (const auto& value : {g.loss, g.grad_norm}) add(values, value);
    spoil(latent);
    spoil(real);
    return values;
  }

 private:
  static constexpr int64_t kBatch = 6;

  DiscriminatorBatch batch_at(int64_t update) const {
    const auto size = config_.data.size;
    DiscriminatorBatch batch{torch::tanh(normal({kBatch, 1, size, size}, 1'000 + update)),
                             normal({kBatch, config_.generator.latent}, 2'000 + update),
                             {}};
    auto generator = make_generator(4'000 + update, torch::kCPU);
    for (size_t i = 0; i < config_.penalties.size(); ++i) {
      const auto draw = penalty(config_.penalties[i].kind).draw_noise;
      batch.penalty_noise.push_back(step_.is_penalty_due(i, update) ? draw(batch.real, generator) : torch::Tensor());
    }
    return batch;
  }

  static void add(std::vector<torch::Tensor>& values, const torch::Tensor& value) {
    values.push_back(value.defined() ? value.clone() : torch::full({}, -1.0));
  }

  static void spoil(torch::Tensor& values) {
    if (values.defined()) values.fill_(std::numeric_limits<double>::quiet_NaN());
  }

  const Config& config_;
  TrainingState& state_;
  AdversarialStep& step_;
};

constexpr int64_t kSteps = 12;

bool is_measured(int64_t step) {
  return step % 2 == 1;
}

void expect_no_fallback(const std::string& why) {
  ADD_FAILURE() << why;
}

// Takes kSteps steps of both kinds. tolerance: 0 is bit for bit.
void expect_captured_equals_eager(const Config& config, double tolerance) {
  auto eager_state = fresh_state(config);
  auto state = fresh_state(config);
  FakeRecorder recorder(state);
  AdversarialStep eager(eager_state, config);
  CapturedStep captured(state, config, recorder, expect_no_fallback);
  Steps eager_steps(config, eager_state, eager);
  Steps steps(config, state, captured);
  for (int64_t i = 0; i < kSteps; ++i) {
    SCOPED_TRACE(testing::Message() << "step " << i);
    const auto expected = eager_steps.take(is_measured(i));
    const auto actual = steps.take(is_measured(i));
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t k = 0; k < expected.size(); ++k) {
      EXPECT_TRUE(close(actual[k], expected[k], tolerance)) << "reported value " << k;
    }
    const auto tensors = tensors_of(state);
    for (const auto& [name, tensor] : tensors_of(eager_state)) {
      EXPECT_TRUE(close(tensors.at(name), tensor, tolerance)) << name;
    }
  }
  EXPECT_EQ(state.step, kSteps);
  EXPECT_EQ(state.discriminator_updates, 2 * kSteps);
  EXPECT_EQ(recorder.rehearsals + recorder.replays, 3 * kSteps);
  EXPECT_GT(recorder.replays, kSteps);
}

Config config_for(const Strategy& strategy) {
  auto config = digits_config();
  config.train.steps = kSteps;
  config.schedule = {.kind = ScheduleKind::linear, .start = 2};
  config.ema = {.decay = 0.9, .warmup = true};
  for (auto* options : {&config.optimizer.generator, &config.optimizer.discriminator}) {
    *options = {.kind = OptimizerKind::adam, .lr = 2e-3};
  }
  strategy.apply(config);
  return config;
}

std::vector<Strategy> captured_strategies() {
  auto all = strategies();
  const auto set_rmsprop = [](Config& config) {
    config.optimizer.generator = config.optimizer.discriminator = {.kind = OptimizerKind::rmsprop, .lr = 1e-3};
  };
  all.push_back({"wgan_clip_rmsprop", [=](Config& config) {
                   config.loss = LossKind::wgan;
                   config.constraint.kind = ConstraintKind::clip;
                   set_rmsprop(config);
                 }});
  all.push_back({"lazy_penalties", [](Config& config) {
                   config.penalties = {{.kind = PenaltyKind::r1, .weight = 1, .every = 3},
                                       {.kind = PenaltyKind::gp, .weight = 2, .every = 2}};
                 }});
  all.push_back({"relativistic_without_ema", [](Config& config) {
                   config.loss = LossKind::relativistic;
                   config.ema.decay = 0;
                 }});
  all.push_back({"gradient_normalization", [](Config& config) { config.discriminator.gradient_normalization = true; }});
  all.push_back({"batch_norm_critic", [](Config& config) {
                   config.data.size = 16;
                   config.discriminator.norm = NormKind::batch;
                 }});
  for (const auto& [kind, name] : Names<WeightKind>::table) {
    all.push_back({"weights_" + std::string(name),
                   [kind = kind](Config& config) { config.generator.weight = config.discriminator.weight = kind; }});
  }
  for (const auto& [kind, name] : Names<PenaltyKind>::table) {
    all.push_back({"penalty_" + std::string(name),
                   [kind = kind](Config& config) { config.penalties = {{.kind = kind, .weight = 1}}; }});
  }
  return all;
}

class Captured : public testing::TestWithParam<Strategy> {};

TEST_P(Captured, UpdatesEqualEagerOnesBitForBit) {
  expect_captured_equals_eager(config_for(GetParam()), 0);
}

INSTANTIATE_TEST_SUITE_P(Step, Captured, testing::ValuesIn(captured_strategies()),
                         [](const auto& test) { return test.param.name; });

// Here a rate times a number is added, which the eager update rounds once and the captured one twice.
TEST(CapturedStep, TakesEveryOptimizer) {
  for (const auto& [kind, name] : Names<OptimizerKind>::table) {
    for (const double momentum : {0.0, 0.5}) {
      SCOPED_TRACE(testing::Message() << name << " with momentum " << momentum);
      expect_captured_equals_eager(config_for({"",
                                               [kind = kind, momentum](Config& config) {
                                                 config.optimizer.generator = config.optimizer.discriminator = {
                                                     .kind = kind, .lr = 1e-3, .momentum = momentum};
                                               }}),
                                   1e-5);
    }
  }
}

TEST(CapturedStep, EachFormIsRehearsedTwiceAndCapturedOnce) {
  auto config =
      config_for({"", [](Config& edited) { edited.penalties = {{.kind = PenaltyKind::gp, .weight = 1, .every = 2}}; }});
  auto state = fresh_state(config);
  FakeRecorder recorder(state);
  CapturedStep captured(state, config, recorder, expect_no_fallback);
  Steps steps(config, state, captured);
  // The first update of a step has the penalty and is never measured, the second may be: three forms, and two of G.
  for (int64_t i = 0; i < 3; ++i) steps.take(false);
  EXPECT_EQ(captured.captured(), 3);
  EXPECT_EQ(recorder.rehearsals, 6);
  EXPECT_EQ(recorder.replays, 3);
  for (int64_t i = 0; i < 3; ++i) steps.take(true);
  EXPECT_EQ(captured.captured(), 5);
  EXPECT_EQ(recorder.rehearsals, 10);
  for (int64_t i = 0; i < 3; ++i) steps.take(i == 1);
  EXPECT_EQ(captured.captured(), 5);
  EXPECT_EQ(recorder.rehearsals, 10);
  EXPECT_EQ(recorder.replays, 3 * 9 - 10);
}

TEST(CapturedStep, WhatCannotBeCapturedGoesOnEagerlyAndIsToldOnce) {
  const auto config =
      config_for({"", [](Config& edited) { edited.penalties = {{.kind = PenaltyKind::gp, .weight = 1, .every = 2}}; }});
  auto eager_state = fresh_state(config);
  AdversarialStep eager(eager_state, config);
  Steps eager_steps(config, eager_state, eager);
  for (int64_t i = 0; i < kSteps; ++i) eager_steps.take(false);

  // The captures are of D with the penalty, of D without it, and of G.
  for (int64_t refused = 0; refused < 3; ++refused) {
    SCOPED_TRACE(testing::Message() << "refused capture " << refused);
    std::vector<std::string> told;
    auto state = fresh_state(config);
    FakeRecorder recorder(state);
    recorder.refuses = [refused](int64_t number) { return number == refused; };
    CapturedStep captured(state, config, recorder, [&](const std::string& why) { told.push_back(why); });
    Steps steps(config, state, captured);
    for (int64_t i = 0; i < kSteps; ++i) steps.take(false);
    EXPECT_TRUE(equal(tensors_of(state), tensors_of(eager_state)));
    EXPECT_EQ(captured.captured(), 2);
    EXPECT_EQ(recorder.captures, 3);
    EXPECT_EQ(recorder.replays, 2 * (kSteps - 2));
    EXPECT_THAT(told, ElementsAre(AllOf(HasSubstr(refused == 2 ? "generator" : "discriminator"),
                                        HasSubstr("the device waits"), Not(HasSubstr("frame")))));
  }
}

TEST(CapturedStep, RefusesABatchOfAnotherSize) {
  const auto config = config_for({"", [](Config&) {}});
  auto state = fresh_state(config);
  FakeRecorder recorder(state);
  CapturedStep captured(state, config, recorder, expect_no_fallback);
  Steps(config, state, captured).take(false);
  const auto real = torch::zeros({5, 1, 8, 8});
  EXPECT_THROW(captured.update_discriminator({real, torch::zeros({5, 3}), {}}, 1.0, false), c10::Error);
}

std::vector<std::string> logged(const Config& config, TrainingState& state, GraphRecorder* recorder) {
  std::vector<std::string> lines;
  LoopHooks hooks;
  hooks.on_log = [&](const LogPoint& point) {
    lines.push_back(testing::PrintToString(std::vector<double>{
        static_cast<double>(point.step), point.loss_d, point.loss_g, point.penalty.value_or(-1), point.critic_real,
        point.critic_fake, point.grad_norm_d, point.grad_norm_g, point.probe ? point.probe->slope_max : -1}));
  };
  hooks.on_fallback = expect_no_fallback;
  run_loop(config, state, dataset_of(config), torch::kCPU, hooks, recorder);
  return lines;
}

Config looped_config() {
  auto config = config_for({"", [](Config& edited) {
                              edited.discriminator.weight = WeightKind::spectral;
                              edited.penalties = {{.kind = PenaltyKind::gp, .weight = 1, .every = 2}};
                            }});
  config.data.flip = true;
  config.log.every = 2;
  config.lipschitz.every = 5;
  config.train.boost = {.critic_steps = 4, .first = 1, .every = 7};
  config.train.generator_batch = 9;
  return config;
}

TEST(CapturedLoop, LogsAndEndsLikeTheEagerOne) {
  const auto config = looped_config();
  auto eager = fresh_state(config);
  auto captured = fresh_state(config);
  FakeRecorder recorder(captured);
  EXPECT_EQ(logged(config, captured, &recorder), logged(config, eager, nullptr));
  EXPECT_TRUE(equal(tensors_of(captured), tensors_of(eager)));
  EXPECT_GT(recorder.replays, kSteps);
}

TEST(CapturedLoop, ResumesBitForBit) {
  const auto config = looped_config();
  const TemporaryFolder folder;
  auto whole = fresh_state(config);
  FakeRecorder recorder(whole);
  logged(config, whole, &recorder);

  auto first = fresh_state(config);
  FakeRecorder first_recorder(first);
  LoopHooks hooks;
  hooks.on_checkpoint = [&](int64_t) {
    save_checkpoint(folder / "half.safetensors", first, {.metrics_lines = 0, .data = "data", .config = "config"});
  };
  hooks.stop_requested = [&] { return first.step == 6; };
  EXPECT_EQ(run_loop(config, first, dataset_of(config), torch::kCPU, hooks, &first_recorder), LoopEnd::interrupted);

  auto second = fresh_state(config);
  restore(read_checkpoint(folder / "half.safetensors"), second);
  FakeRecorder second_recorder(second);
  logged(config, second, &second_recorder);
  EXPECT_TRUE(equal(tensors_of(second), tensors_of(whole)));
}

TEST(CapturedLoop, TellsOfFallbacks) {
  auto config = looped_config();
  auto state = fresh_state(config);
  FakeRecorder recorder(state);
  recorder.refuses = [](int64_t) { return true; };
  std::vector<std::string> told;
  LoopHooks hooks;
  hooks.on_fallback = [&](const std::string& why) { told.push_back(why); };
  run_loop(config, state, dataset_of(config), torch::kCPU, hooks, &recorder);
  EXPECT_THAT(told, AllOf(Not(IsEmpty()), Each(HasSubstr("cannot be captured"))));
  EXPECT_EQ(recorder.replays, 0);

  auto unheard = fresh_state(config);
  run_loop(config, unheard, dataset_of(config), torch::kCPU, {}, &recorder);
  EXPECT_TRUE(equal(tensors_of(unheard), tensors_of(state)));
}

}  // namespace
}  // namespace sgan
