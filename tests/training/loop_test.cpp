#include "training/loop.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include <tuple>

#include "configs/error.h"
#include "data/batch_order.h"
#include "losses/penalties.h"
#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"
#include "tests/temporary_folder.h"
#include "tests/training/small_run.h"
#include "training/checkpoint.h"
#include "training/step.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

// Trains to the config's last step and returns what was logged.
std::vector<LogPoint> train(const Config& config, TrainingState& state) {
  std::vector<LogPoint> points;
  LoopHooks hooks;
  hooks.on_log = [&](const LogPoint& point) { points.push_back(point); };
  run_loop(config, state, dataset_of(config), torch::kCPU, hooks);
  return points;
}

using Choice = std::tuple<std::string, std::pair<OptimizerKind, std::string_view>, Strategy>;

class Resume : public testing::TestWithParam<Choice> {};

TEST_P(Resume, TwiceNStepsEqualNSavedLoadedN) {
  const auto& [data, optimizer, strategy] = GetParam();
  auto config = data == "planar" ? planar_config() : digits_config();
  strategy.apply(config);
  for (auto* options : {&config.optimizer.generator, &config.optimizer.discriminator}) {
    *options = {.kind = optimizer.first, .lr = 1e-2, .momentum = 0.5};
  }
  config.data.flip = data == "digits";
  config.train.boost = {.critic_steps = 3, .first = 1, .every = 3};
  config.schedule = {.kind = ScheduleKind::linear, .start = 1};
  const TemporaryFolder folder;
  const auto path = folder / "half.safetensors";

  auto whole = fresh_state(config);
  const auto dataset = dataset_of(config);
  run_loop(config, whole, dataset, torch::kCPU, {});

  auto first = fresh_state(config);
  LoopHooks hooks;
  hooks.on_checkpoint = [&](int64_t) {
    save_checkpoint(path, first, {.metrics_lines = 0, .data = "data", .config = "config"});
  };
  hooks.stop_requested = [&] { return first.step == 2; };
  EXPECT_EQ(run_loop(config, first, dataset, torch::kCPU, hooks), LoopEnd::interrupted);
  auto second = fresh_state(config);
  restore(read_checkpoint(path), second);
  EXPECT_EQ(second.step, 2);
  EXPECT_FALSE(equal(tensors_of(second), tensors_of(whole)));
  EXPECT_EQ(run_loop(config, second, dataset, torch::kCPU, {}), LoopEnd::finished);

  EXPECT_EQ(second.step, whole.step);
  EXPECT_EQ(second.discriminator_updates, whole.discriminator_updates);
  EXPECT_TRUE(equal(tensors_of(second), tensors_of(whole)));
}

std::string choice_name(const testing::TestParamInfo<Choice>& test) {
  const auto& [data, optimizer, strategy] = test.param;
  return data + "_" + std::string(optimizer.second) + "_" + strategy.name;
}

INSTANTIATE_TEST_SUITE_P(Loop, Resume,
                         testing::Combine(testing::Values("planar", "digits"),
                                          testing::ValuesIn(Names<OptimizerKind>::table),
                                          testing::ValuesIn(strategies())),
                         choice_name);

// Every call of a hook, in order: "log 2", "sample 2" …
std::vector<std::string> calls_of(const Config& config, int64_t stop_at = -1) {
  std::vector<std::string> calls;
  const auto note = [&](const std::string& what) {
    return [&calls, what](int64_t step) { calls.push_back(what + " " + std::to_string(step)); };
  };
  int64_t done = 0;
  auto state = fresh_state(config);
  const auto end = run_loop(config, state, dataset_of(config), torch::kCPU,
                            {.on_log = [&](const LogPoint& point) { note(point.probe ? "probe" : "log")(point.step); },
                             .on_sample = note("sample"),
                             .on_evaluate = note("evaluate"),
                             .on_checkpoint = note("checkpoint"),
                             .on_step = [&](int64_t step) { done = step; },
                             .stop_requested = [&] { return state.step == stop_at; }});
  EXPECT_EQ(done, state.step);
  calls.push_back(end == LoopEnd::finished ? "finished" : "interrupted");
  return calls;
}

TEST(Loop, LastStepLogsSamplesAndSaves) {
  auto config = planar_config();
  config.log.every = 0;
  EXPECT_THAT(calls_of(config), ElementsAre("sample 0", "log 4", "sample 4", "checkpoint 4", "finished"));
  config.lipschitz.every = 100;
  EXPECT_THAT(calls_of(config), ElementsAre("sample 0", "probe 4", "sample 4", "checkpoint 4", "finished"));
  config.evaluation.every = 3;
  EXPECT_THAT(calls_of(config),
              ElementsAre("sample 0", "evaluate 3", "probe 4", "sample 4", "evaluate 4", "checkpoint 4", "finished"));
}

TEST(Loop, KeepsEachCadence) {
  auto config = planar_config();
  config.log.every = 2;
  config.lipschitz.every = 3;
  config.sample.every = 3;
  config.checkpoint.every = 2;
  config.train.steps = 5;
  EXPECT_THAT(calls_of(config), ElementsAre("sample 0", "log 2", "checkpoint 2", "probe 3", "sample 3", "log 4",
                                            "checkpoint 4", "probe 5", "sample 5", "checkpoint 5", "finished"));
}

TEST(Loop, StopRequestSavesAndReturns) {
  EXPECT_THAT(calls_of(planar_config(), 3), ElementsAre("sample 0", "checkpoint 3", "interrupted"));
  EXPECT_THAT(calls_of(planar_config(), 4), ElementsAre("sample 0", "log 4", "sample 4", "checkpoint 4", "finished"));
}

TEST(Loop, FinishedRunHasNothingToDo) {
  const auto config = planar_config();
  auto state = trained_state(config);
  const auto before = copy_of(tensors_of(state));
  EXPECT_TRUE(train(config, state).empty());
  EXPECT_TRUE(equal(tensors_of(state), before));
}

TEST(Loop, LogPointsSayWhatHappened) {
  auto config = planar_config();
  config.log.every = 1;
  config.lipschitz.every = 1;
  config.discriminator.weight = WeightKind::spectral;
  config.penalties = {{.kind = PenaltyKind::r1, .weight = 1}};
  auto state = fresh_state(config);
  const auto points = train(config, state);
  ASSERT_EQ(points.size(), 4U);
  for (size_t i = 0; i < points.size(); ++i) {
    const auto& point = points[i];
    EXPECT_EQ(point.step, static_cast<int64_t>(i) + 1);
    EXPECT_EQ(point.images, (static_cast<int64_t>(i) + 1) * 2 * 6);
    EXPECT_GT(point.penalty.value(), 0);
    EXPECT_GT(point.grad_norm_d, 0);
    EXPECT_GT(point.grad_norm_g, 0);
    EXPECT_GT(point.ms_per_step, 0);
    EXPECT_GE(point.wall_s, i == 0 ? 0 : points[i - 1].wall_s);
    EXPECT_EQ(point.probe.value().sigma.size(), 3U);
    EXPECT_GT(point.probe.value().slope_max, 0);
  }
  config.penalties.clear();
  config.lipschitz.every = 0;
  auto plain = fresh_state(config);
  EXPECT_FALSE(train(config, plain).front().penalty.has_value());
}

TEST(Loop, LogsTheLastValueOfALazyPenalty) {
  auto config = planar_config();
  config.log.every = 1;
  config.train.critic_steps = 1;
  config.train.steps = 5;
  config.penalties = {{.kind = PenaltyKind::r1, .weight = 1, .every = 3}};
  auto state = fresh_state(config);
  std::vector<double> logged;
  for (const auto& point : train(config, state)) logged.push_back(point.penalty.value());
  // Due at updates 0 and 3.
  EXPECT_GT(logged[0], 0);
  EXPECT_EQ(logged[1], logged[0]);
  EXPECT_EQ(logged[2], logged[0]);
  EXPECT_NE(logged[3], logged[0]);
  EXPECT_EQ(logged[4], logged[3]);
}

// Two steps by hand, from the streams by their names: whoever moves a stream or an index breaks every old run.
TEST(Loop, DrawsFromTheNamedStreams) {
  auto config = digits_config();
  config.seed = 11;
  config.train.steps = 2;
  config.train.critic_steps = 2;
  config.data.flip = true;
  config.penalties = {{.kind = PenaltyKind::gp, .weight = 10}, {.kind = PenaltyKind::dragan, .weight = 1}};
  const auto data = load_dataset(config.data, 0, 1);
  auto looped = initial_state(config, data.sample_shape(), torch::kCPU);
  run_loop(config, looped, data, torch::kCPU, {});

  const auto batch = config.train.batch;
  const auto generator = [&](Stream stream, int64_t index) {
    return make_generator(stream_seed(11, stream, static_cast<uint64_t>(index)), torch::kCPU);
  };
  auto by_hand = initial_state(config, data.sample_shape(), torch::kCPU);
  AdversarialStep step(by_hand, config);
  BatchOrder order(data.size(), batch, stream_seed(11, Stream::order, uint64_t{0}));
  for (int64_t i = 0; i < 2; ++i) {
    torch::Tensor real;
    for (int64_t update = 2 * i; update < 2 * i + 2; ++update) {
      const auto flip = torch::rand({batch}, generator(Stream::augment, update)) < 0.5;
      real = deliver(data, order.indices(update), flip, torch::kCPU);
      const auto latent = torch::randn({batch, config.generator.latent}, generator(Stream::latent_d, update));
      auto noise = generator(Stream::penalty, update);
      const auto epsilon = penalty(PenaltyKind::gp).draw_noise(real, noise);
      const auto shift = penalty(PenaltyKind::dragan).draw_noise(real, noise);
      step.update_discriminator({.real = real, .latent = latent, .penalty_noise = {epsilon, shift}}, 1.0, false);
    }
    step.update_generator(torch::randn({batch, config.generator.latent}, generator(Stream::latent_g, i)), real, 1.0,
                          false);
  }
  EXPECT_TRUE(equal(tensors_of(looped), tensors_of(by_hand)));
}

TEST(Loop, MeasuringMovesNothing) {
  auto config = digits_config();
  config.discriminator.weight = WeightKind::spectral;
  const auto plain = trained_state(config);
  config.log.every = config.lipschitz.every = 1;
  EXPECT_TRUE(equal(tensors_of(trained_state(config)), tensors_of(plain)));
}

TEST(Loop, NonFiniteLossThrowsAndSavesNothing) {
  for (const int64_t probe_every : {0, 1}) {
    auto config = planar_config();
    config.loss = LossKind::wgan;
    config.optimizer.discriminator = {.kind = OptimizerKind::sgd, .lr = 1e30};
    config.log.every = 1;
    config.lipschitz.every = probe_every;
    config.checkpoint.every = 1;
    auto state = fresh_state(config);
    int64_t last_saved = 0;
    LoopHooks hooks;
    hooks.on_checkpoint = [&](int64_t step) { last_saved = step; };
    EXPECT_THAT([&] { run_loop(config, state, dataset_of(config), torch::kCPU, hooks); },
                ThrowsMessage<UserError>(AllOf(HasSubstr("training has diverged: loss_"), HasSubstr(" at step "),
                                               HasSubstr("Lower the learning rates"))));
    EXPECT_LE(last_saved, state.step);
  }
}

TEST(Loop, NothingIsMadeOfADivergedRunBetweenLogPoints) {
  auto config = planar_config();
  config.loss = LossKind::wgan;
  config.optimizer.discriminator = {.kind = OptimizerKind::sgd, .lr = 1e30};
  config.log.every = 100;
  config.checkpoint.every = config.sample.every = config.evaluation.every = 3;
  config.train.steps = 100;
  auto state = fresh_state(config);
  std::vector<int64_t> made;
  const auto note = [&](int64_t step) { made.push_back(step); };
  LoopHooks hooks;
  hooks.on_sample = hooks.on_evaluate = hooks.on_checkpoint = note;
  EXPECT_THROW(run_loop(config, state, dataset_of(config), torch::kCPU, hooks), DivergenceError);
  EXPECT_THAT(made, ElementsAre(0));
}

TEST(Loop, ABudgetOfSecondsEndsTheRun) {
  auto config = planar_config();
  config.train.steps = 1'000'000'000;
  config.train.seconds = 0.3;
  config.log.every = 2;
  std::vector<LogPoint> points;
  std::vector<int64_t> saved;
  LoopHooks hooks;
  hooks.on_log = [&](const LogPoint& point) { points.push_back(point); };
  hooks.on_checkpoint = [&](int64_t step) { saved.push_back(step); };
  auto state = fresh_state(config);
  EXPECT_EQ(run_loop(config, state, dataset_of(config), torch::kCPU, hooks), LoopEnd::finished);
  ASSERT_FALSE(points.empty());
  EXPECT_TRUE(points.back().last);
  EXPECT_EQ(points.back().step, state.step);
  EXPECT_GE(points.back().train_s, 0.3);
  EXPECT_THAT(saved, ElementsAre(state.step));
  double seconds = 0;
  int64_t before = 0;
  for (const auto& point : points) {
    EXPECT_EQ(point.last, point.step == state.step);
    seconds += point.ms_per_step / 1000 * static_cast<double>(point.step - before);
    before = point.step;
    EXPECT_NEAR(point.train_s, seconds, 1e-9);
  }
  // What was spent before counts: a run that was stopped when its time was up has its last step to do.
  auto stopped = fresh_state(config);
  stopped.train_seconds = 0.3;
  saved.clear();
  EXPECT_EQ(run_loop(config, stopped, dataset_of(config), torch::kCPU, hooks), LoopEnd::finished);
  EXPECT_EQ(stopped.step, 1);
  EXPECT_TRUE(points.back().last);
  EXPECT_THAT(saved, ElementsAre(1));
  EXPECT_GT(stopped.train_seconds, 0.3);
}

// With learning rates of 0 the logged outputs are a function of the batches alone. A dcgan critic without biases is
// homogeneous in each weight, so under spectral normalization its outputs are those of the plain one over Πσ̂.
TEST(Loop, StrategiesSeeTheSameRealsAndLatents) {
  const auto logged = [](const Strategy& strategy) {
    auto config = digits_config();
    strategy.apply(config);
    config.constraint.clip = 100;
    config.optimizer.generator.lr = config.optimizer.discriminator.lr = 0;
    config.loss = LossKind::wgan;
    config.log.every = config.lipschitz.every = 1;
    auto state = fresh_state(config);
    return train(config, state);
  };
  const auto plain = logged(strategies()[0]);
  ASSERT_EQ(plain.size(), 4U);
  EXPECT_NE(plain[0].critic_real, plain[1].critic_real);
  EXPECT_NE(plain[0].critic_fake, plain[1].critic_fake);
  for (const auto& strategy : strategies()) {
    SCOPED_TRACE(strategy.name);
    const auto points = logged(strategy);
    ASSERT_EQ(points.size(), plain.size());
    for (size_t i = 0; i < points.size(); ++i) {
      double factor = 1;
      for (const auto& [name, sigma] : points[i].probe.value().sigma) factor *= sigma;
      EXPECT_NEAR(points[i].critic_real * factor / plain[i].critic_real, 1, 1e-4);
      EXPECT_NEAR(points[i].critic_fake * factor / plain[i].critic_fake, 1, 1e-4);
      EXPECT_NEAR(points[i].loss_g * factor / plain[i].loss_g, 1, 1e-4);
    }
  }
}

class Threads : public testing::Test {
 protected:
  ~Threads() override { torch::set_num_threads(before_); }

 private:
  int before_ = torch::get_num_threads();
};

TEST_F(Threads, DoNotChangeTheDraws) {
  // Large enough that torch would share the work.
  const auto draws = [](int threads) {
    torch::set_num_threads(threads);
    Tensors drawn;
    const auto generator = [](Stream stream) {
      return make_generator(stream_seed(3, stream, uint64_t{7}), torch::kCPU);
    };
    drawn["latent"] = torch::randn({256, 512}, generator(Stream::latent_d));
    drawn["epsilon"] = penalty(PenaltyKind::gp).draw_noise(torch::zeros({70000, 1}), generator(Stream::penalty));
    drawn["noise"] = penalty(PenaltyKind::dragan).draw_noise(torch::zeros({64, 3, 32, 32}), generator(Stream::penalty));
    drawn["order"] = BatchOrder(200'000, 100'000, 3).indices(1);
    return drawn;
  };
  EXPECT_TRUE(equal(draws(2), draws(1)));

  const auto first_losses = [](int threads) {
    torch::set_num_threads(threads);
    auto config = digits_config();
    config.train.batch = 64;
    config.train.steps = 1;
    auto state = fresh_state(config);
    return train(config, state).front();
  };
  const auto one = first_losses(1);
  const auto two = first_losses(2);
  EXPECT_NEAR(one.critic_real, two.critic_real, 1e-6);
  EXPECT_NEAR(one.critic_fake, two.critic_fake, 1e-6);
  EXPECT_NEAR(one.loss_g, two.loss_g, 1e-6);
}

}  // namespace
}  // namespace sgan
