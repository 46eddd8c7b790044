// 2N steps are N steps, a checkpoint and N steps more: every tensor and every number of the log, for each way of
// stabilising a critic, with each optimizer, with and without averaged weights.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <memory>

#include "run/sha256.h"
#include "tests/temporary_folder.h"
#include "tests/training/small_run.h"
#include "training/checkpoint.h"

namespace sgan {
namespace {

constexpr int64_t kHalf = 3;

std::vector<Strategy> every_strategy() {
  std::vector<Strategy> all;
  for (const auto& weight : Names<WeightKind>::table) {
    all.push_back({"weight_" + std::string(weight.second),
                   [kind = weight.first](Config& config) { config.discriminator.weight = kind; }});
  }
  for (const auto& penalty : Names<PenaltyKind>::table) {
    all.push_back({"penalty_" + std::string(penalty.second), [kind = penalty.first](Config& config) {
                     config.penalties = {{.kind = kind, .weight = 1, .every = 2}};
                   }});
  }
  all.push_back({"clip", [](Config& config) { config.constraint.kind = ConstraintKind::clip; }});
  all.push_back({"gradient_normalization", [](Config& config) {
                   config.discriminator.gradient_normalization = true;
                   config.loss = LossKind::hinge;
                 }});
  return all;
}

// The numbers of a run's log, but for times.
std::vector<double> numbers(const LogPoint& point) {
  std::vector<double> values{static_cast<double>(point.step),
                             static_cast<double>(point.images),
                             point.loss_d,
                             point.loss_g,
                             point.penalty.value_or(-1),
                             point.critic_real,
                             point.critic_fake,
                             point.grad_norm_d,
                             point.grad_norm_g};
  if (point.probe) {
    values.push_back(point.probe->slope_mean);
    values.push_back(point.probe->slope_max);
    for (const auto& [layer, sigma] : point.probe->sigma) values.push_back(sigma);
    for (const auto& [layer, sigma] : point.probe->sigma_effective) values.push_back(sigma);
  }
  return values;
}

std::map<std::string, std::string> digests(const TrainingState& state) {
  std::map<std::string, std::string> found;
  for (const auto& [name, tensor] : named_tensors(state)) {
    const auto stored = tensor.detach().contiguous();
    Sha256 digest;
    digest.update({static_cast<const char*>(stored.const_data_ptr()), stored.nbytes()});
    found[name] = digest.hex();
  }
  return found;
}

class Session {
 public:
  explicit Session(const Config& config) : config_(config), state_(fresh_state(config)) {}

  // Trains until `step`; the log's numbers go to `log`.
  void train(const Dataset& dataset, int64_t step, std::vector<std::vector<double>>& log) {
    LoopHooks hooks;
    hooks.on_log = [&](const LogPoint& point) { log.push_back(numbers(point)); };
    hooks.stop_requested = [&] { return state_.step >= step; };
    run_loop(config_, state_, dataset, torch::kCPU, hooks);
  }
  TrainingState& state() { return state_; }

 private:
  Config config_;
  TrainingState state_;
};

void expect_exact(const Config& config, const std::string& what) {
  const TemporaryFolder folder;
  const auto dataset = dataset_of(config);
  std::vector<std::vector<double>> expected, log;
  Session whole(config);
  whole.train(dataset, 2 * kHalf, expected);
  ASSERT_EQ(whole.state().step, 2 * kHalf) << what;

  Session first(config);
  first.train(dataset, kHalf, log);
  ASSERT_EQ(first.state().step, kHalf) << what;
  save_checkpoint(folder / "a", first.state(), {.metrics_lines = kHalf, .data = "data", .config = "config"});
  // Other initial values, so that whatever is not restored shows.
  auto other = config;
  other.seed = config.seed + 1;
  auto resumed = std::make_unique<Session>(config);
  resumed->state() = fresh_state(other);
  restore(read_checkpoint(folder / "a"), resumed->state());
  resumed->train(dataset, 2 * kHalf, log);

  const auto wanted = digests(whole.state()), found = digests(resumed->state());
  EXPECT_EQ(wanted.size(), found.size()) << what;
  for (const auto& [name, digest] : wanted) EXPECT_EQ(found.at(name), digest) << what << ": " << name;
  EXPECT_EQ(log, expected) << what;
}

class ResumeOf : public ::testing::TestWithParam<Strategy> {};

TEST_P(ResumeOf, EveryOptimizerWithAndWithoutAverageIsExact) {
  for (const auto& make : {digits_config, planar_config}) {
    for (const auto& optimizer : Names<OptimizerKind>::table) {
      for (const double decay : {0.0, 0.9}) {
        auto config = make();
        config.train.steps = 2 * kHalf;
        config.train.batch = 8;
        config.log.every = 1;
        config.lipschitz.every = 2;
        config.ema.decay = decay;
        for (auto* options : {&config.optimizer.generator, &config.optimizer.discriminator}) {
          options->kind = optimizer.first;
          options->lr = 1e-3;
          if (optimizer.first != OptimizerKind::adam) options->momentum = 0.5;
        }
        GetParam().apply(config);
        expect_exact(config, fmt::format("{} {} {} ema {}", GetParam().name, name_of(config.data.kind),
                                         optimizer.second, decay));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Strategies, ResumeOf, ::testing::ValuesIn(every_strategy()),
                         [](const auto& parameter) { return parameter.param.name; });

// A batch size that was changed on the way: the images seen are still counted right.
TEST(Resume, ImagesOfOtherBatchSizesCount) {
  const TemporaryFolder folder;
  auto config = planar_config();
  config.log.every = 1;
  const auto dataset = dataset_of(config);
  std::vector<std::vector<double>> log;
  Session session(config);
  session.train(dataset, 2, log);
  session.state().other_batches_images = session.state().discriminator_updates * (6 - 8);
  save_checkpoint(folder / "a", session.state(), {.metrics_lines = 2, .data = "data", .config = "config"});
  config.train.batch = 8;
  Session resumed(config);
  restore(read_checkpoint(folder / "a"), resumed.state());
  resumed.train(dataset, 4, log);
  std::vector<double> images;
  for (const auto& point : log) images.push_back(point[1]);
  EXPECT_THAT(images, ::testing::ElementsAre(12, 24, 40, 56));
}

}  // namespace
}  // namespace sgan
