#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <cmath>

#include "app/device.h"
#include "app/graph_capture.h"
#include "configs/loader.h"
#include "cuda/backend.h"
#include "normalization/spectral_group.h"
#include "run/random_streams.h"
#include "tests/training/small_run.h"
#include "training/captured_step.h"
#include "training/loop.h"
#include "training/precision.h"
#include "training/real_batches.h"
#include "training/step.h"

// Training on a GPU against the CPU, and the presets on either.

namespace sgan {
namespace {

constexpr const char* kPresets[] = {"dcgan",        "wgan-clip", "wgan-gp", "sngan-cnn",   "sngan-cnn-hinge",
                                    "sngan-resnet", "lsgan",     "dragan",  "r3gan-losses"};

Config preset_config(const std::string& name) {
  auto config = load_config(std::filesystem::path(SGAN_SOURCE_DIR) / "configs/cifar10" / (name + ".yaml"));
  config.train.batch = 16;
  config.train.generator_batch = 0;
  return config;
}

void expect_no_fallback(const std::string& why) {
  ADD_FAILURE() << why;
}

// One step after the other, every number of it drawn on the CPU, so that all devices get the same.
class Steps {
 public:
  Steps(const Config& config, torch::Device device, GraphRecorder* recorder = nullptr)
      : config_(config),
        device_(device),
        state_(initial_state(config, {3, 32, 32}, device)),
        step_(recorder == nullptr ? std::make_unique<AdversarialStep>(state_, config_)
                                  : std::make_unique<CapturedStep>(state_, config_, *recorder, expect_no_fallback)) {}

  TrainingState& state() { return state_; }

  // Losses of D and G.
  std::pair<double, double> take(int64_t number) {
    const auto seed = static_cast<uint64_t>(10 * number);
    DiscriminatorBatch batch{draw({16, 3, 32, 32}, seed), draw({16, config_.generator.latent}, seed + 1), {}};
    for (const auto& penalty_options : config_.penalties) {
      auto noise = make_generator(seed + 2, torch::kCPU);
      const auto drawn = penalty(penalty_options.kind).draw_noise(batch.real.cpu(), noise);
      batch.penalty_noise.push_back(drawn.defined() ? drawn.to(device_) : drawn);
    }
    const auto d = step_->update_discriminator(batch, 1.0, false).loss.item<double>();
    const auto latent = draw({16, config_.generator.latent}, seed + 3);
    return {d, step_->update_generator(latent, batch.real, 1.0, false).loss.item<double>()};
  }

 private:
  torch::Tensor draw(std::vector<int64_t> shape, uint64_t seed) const {
    return torch::rand(shape, make_generator(seed, torch::kCPU)).mul(2).sub(1).to(device_);
  }

  Config config_;
  torch::Device device_;
  TrainingState state_;
  std::unique_ptr<AdversarialStep> step_;
};

void copy_state(const TrainingState& from, TrainingState& to) {
  torch::NoGradGuard no_grad;
  const auto source = named_tensors(from);
  auto target = named_tensors(to);
  for (size_t i = 0; i < source.size(); ++i) target[i].second.copy_(source[i].second);
}

// Fails the test that trains where LibTorch warns.
class NoWarnings : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override { ADD_FAILURE() << "LibTorch warns: " << warning.msg(); }
};

// 64 made-up images in the place of CIFAR-10.
Dataset made_up_images() {
  Dataset data;
  data.samples = torch::randint(0, 256, {64, 3, 32, 32}, make_generator(1, torch::kCPU), torch::kUInt8);
  return data;
}

// The whole loop, with device generators, batches, probe and hooks, for a few steps.
TrainingState run_preset(const Config& config, torch::Device device, int64_t stop_at = 0,
                         Execution execution = Execution::eager) {
  NoWarnings no_warnings;
  c10::WarningUtils::WarningHandlerGuard guard(&no_warnings);
  const auto data = made_up_images();
  auto state = initial_state(config, {3, 32, 32}, device);
  LoopHooks hooks;
  hooks.on_log = [](const LogPoint& point) { EXPECT_TRUE(std::isfinite(point.loss_d + point.loss_g)); };
  hooks.on_fallback = expect_no_fallback;
  hooks.stop_requested = [&] { return state.step == stop_at; };
  const auto recorder = make_graph_recorder(execution, device);
  run_loop(config, state, data, device, hooks, recorder.get());
  if (state.step < config.train.steps) run_loop(config, state, data, device, {}, recorder.get());
  return state;
}

Config short_run(const std::string& name, int64_t steps) {
  auto config = preset_config(name);
  config.train.steps = steps;
  config.train.boost = {};
  config.lipschitz.every = steps;
  config.log.every = 1;
  return config;
}

class GpuTraining : public testing::Test {
 protected:
  void SetUp() override {
    if (cuda_backend() == nullptr) GTEST_SKIP() << "skipped: no CUDA device (" << cuda_problem() << ")";
  }
  void TearDown() override { set_precision(Precision::fp32, torch::kCPU); }

  torch::Device gpu{torch::kCUDA, 0};
};

// Each step from the same state: Adam's first steps go by the gradient's sign, so free-running trajectories part by
// more than rounding after few steps on any two implementations.
TEST_F(GpuTraining, EachOfTheFirstFiveStepsAgreesWithTheCpu) {
  set_precision(Precision::fp32, gpu);
  for (const char* name : kPresets) {
    SCOPED_TRACE(name);
    Steps on_cpu(preset_config(name), torch::kCPU);
    Steps on_gpu(preset_config(name), gpu);
    for (int64_t i = 0; i < 5; ++i) {
      copy_state(on_cpu.state(), on_gpu.state());
      const auto [expected_d, expected_g] = on_cpu.take(i);
      const auto [d, g] = on_gpu.take(i);
      EXPECT_NEAR(d, expected_d, 1e-4 * std::max(1.0, std::abs(expected_d))) << "step " << i;
      EXPECT_NEAR(g, expected_g, 1e-4 * std::max(1.0, std::abs(expected_g))) << "step " << i;
    }
  }
}

TEST_F(GpuTraining, EveryPresetRunsInEveryPrecisionWithoutAWarning) {
  for (const char* name : kPresets) {
    for (const auto& [precision, precision_name] : Names<Precision>::table) {
      SCOPED_TRACE(std::string(name) + " " + std::string(precision_name));
      set_precision(precision, gpu);
      auto config = short_run(name, 3);
      config.precision = precision;
      run_preset(config, gpu);
    }
  }
}

TEST_F(GpuTraining, Bf16ComputesOtherNumbersThanFp32ButNotFarOff) {
  for (const char* name : {"sngan-cnn", "wgan-gp"}) {
    SCOPED_TRACE(name);
    std::vector<double> losses;
    for (const auto precision : {Precision::fp32, Precision::bf16}) {
      set_precision(precision, gpu);
      auto config = preset_config(name);
      config.precision = precision;
      losses.push_back(Steps(config, gpu).take(0).first);
    }
    EXPECT_NE(losses[1], losses[0]);
    EXPECT_NEAR(losses[1], losses[0], 0.02 * std::max(1.0, std::abs(losses[0])));
  }
}

TEST_F(GpuTraining, RepeatsAndResumesBitForBit) {
  set_precision(Precision::fp32, gpu);
  for (const char* name : {"sngan-cnn", "wgan-gp"}) {
    SCOPED_TRACE(name);
    const auto config = short_run(name, 6);
    const auto expected = named_tensors(run_preset(config, gpu));
    for (const int64_t stop_at : {0, 3}) {
      const auto actual = named_tensors(run_preset(config, gpu, stop_at));
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_TRUE(torch::equal(actual[i].second, expected[i].second)) << expected[i].first << ", stop " << stop_at;
      }
    }
  }
}

// Relative length of the difference of what a step has changed, over all tensors of both networks and optimizers but
// their counters, which are to be equal.
double difference_of_changes(const Tensors& before, const Tensors& expected, const Tensors& actual) {
  double difference = 0;
  double change = 0;
  for (const auto& [name, tensor] : expected) {
    if (name.ends_with(".step") || name.ends_with("num_batches_tracked")) {
      EXPECT_TRUE(torch::equal(actual.at(name), tensor)) << name;
      continue;
    }
    const auto wide = tensor.to(torch::kDouble);
    difference += (actual.at(name).to(torch::kDouble) - wide).square().sum().item<double>();
    change += (wide - before.at(name).to(torch::kDouble)).square().sum().item<double>();
  }
  return std::sqrt(difference / change);
}

// The kernels are the same, in the same order, but for the rates, which a captured update rounds to float32. Each step
// from the same state, as above.
TEST_F(GpuTraining, CapturedUpdatesAgreeWithEagerOnes) {
  for (const auto precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    set_precision(precision, gpu);
    for (const char* name : {"sngan-cnn", "sngan-resnet", "wgan-gp", "wgan-clip", "r3gan-losses"}) {
      SCOPED_TRACE(std::string(name) + " " + std::string(name_of(precision)));
      auto config = preset_config(name);
      config.precision = precision;
      const auto recorder = make_graph_recorder(Execution::graph, gpu);
      Steps eager(config, gpu);
      Steps captured(config, gpu, recorder.get());
      for (int64_t i = 0; i < 8; ++i) {  // the third is captured
        copy_state(eager.state(), captured.state());
        const auto before = copy_of(tensors_of(eager.state()));
        const auto [expected_d, expected_g] = eager.take(i);
        const auto [d, g] = captured.take(i);
        EXPECT_NEAR(d, expected_d, 1e-5 * std::max(1.0, std::abs(expected_d))) << "step " << i;
        EXPECT_NEAR(g, expected_g, 1e-5 * std::max(1.0, std::abs(expected_g))) << "step " << i;
        EXPECT_LT(difference_of_changes(before, tensors_of(eager.state()), tensors_of(captured.state())), 1e-3)
            << "step " << i;
      }
    }
  }
}

TEST_F(GpuTraining, EveryPresetIsCapturedInEveryPrecision) {
  for (const char* name : kPresets) {
    for (const auto& [precision, precision_name] : Names<Precision>::table) {
      SCOPED_TRACE(std::string(name) + " " + std::string(precision_name));
      set_precision(precision, gpu);
      auto config = short_run(name, 8);
      config.precision = precision;
      run_preset(config, gpu, 0, Execution::graph);
    }
  }
}

TEST_F(GpuTraining, CapturedRunsRepeatAndResumeBitForBit) {
  set_precision(Precision::fp32, gpu);
  for (const char* name : {"sngan-cnn", "wgan-gp"}) {
    SCOPED_TRACE(name);
    const auto config = short_run(name, 12);
    const auto expected = tensors_of(run_preset(config, gpu, 0, Execution::graph));
    for (const int64_t stop_at : {0, 5}) {
      EXPECT_TRUE(equal(tensors_of(run_preset(config, gpu, stop_at, Execution::graph)), expected)) << stop_at;
    }
  }
}

TEST_F(GpuTraining, SpectralNormsStayFloat32UnderEveryPrecision) {
  for (const auto& [weight, weight_name] : Names<WeightKind>::table) {
    auto config = preset_config("sngan-cnn");
    config.discriminator.weight = weight;
    const auto weights = [&](Precision precision) {
      set_precision(precision, gpu);
      auto state = initial_state(config, {3, 32, 32}, gpu);
      const AutocastScope autocast(precision, gpu);
      state.discriminator->advance_parametrizations();
      const auto effective = state.discriminator->frozen_weights();
      std::vector<torch::Tensor> values;
      for (const auto& [name, layer] : state.discriminator->layers()) values.push_back(effective.of(*layer).flatten());
      return torch::cat(values);
    };
    const auto exact = weights(Precision::fp32);
    EXPECT_TRUE(torch::equal(weights(Precision::tf32), exact)) << weight_name;
    EXPECT_TRUE(torch::equal(weights(Precision::bf16), exact)) << weight_name;
  }
}

// On a GPU all layers' spectral norms go together; a step computes what it does with each alone.
TEST_F(GpuTraining, SpectralNormsAreTheSameTogetherAndAlone) {
  set_precision(Precision::fp32, gpu);
  for (const char* name : {"sngan-cnn", "sngan-resnet"}) {
    SCOPED_TRACE(name);
    Steps alone(preset_config(name), gpu);
    Steps together(preset_config(name), gpu);
    for (int64_t i = 0; i < 3; ++i) {
      copy_state(alone.state(), together.state());
      double expected = 0;
      {
        const SpectralGroupingGuard guard(SpectralGrouping::alone);
        expected = alone.take(i).first;
      }
      EXPECT_NEAR(together.take(i).first, expected, 1e-5 * std::max(1.0, std::abs(expected))) << "step " << i;
      const auto vectors = tensors_of(alone.state());
      for (const auto& [tensor_name, tensor] : tensors_of(together.state())) {
        if (!tensor_name.ends_with("0._u") && !tensor_name.ends_with("0._v")) continue;
        EXPECT_TRUE(torch::allclose(tensor, vectors.at(tensor_name), 0, 1e-5)) << tensor_name;
      }
    }
  }
}

TEST_F(GpuTraining, BatchesAreTheSameResidentAndStreamed) {
  auto config = digits_config();
  config.data.flip = true;
  const auto data = dataset_of(config);
  RealBatches resident(config, data, gpu, RealBatches::Place::device);
  RealBatches streamed(config, data, gpu, RealBatches::Place::host);
  EXPECT_TRUE(resident.on_device());
  EXPECT_FALSE(streamed.on_device());
  EXPECT_TRUE(RealBatches(config, data, gpu).on_device());  // 0.1 MB fits
  for (const int64_t update : {0, 1, 2, 700, 3}) {
    EXPECT_TRUE(torch::equal(resident.at(update), streamed.at(update))) << update;
  }
}

// The same on the CPU: the presets' networks, losses, penalties, probe and log from end to end, narrow and few steps.
TEST(Presets, RunOnTheCpuWithoutAWarning) {
  for (const char* name : kPresets) {
    SCOPED_TRACE(name);
    auto config = short_run(name, 2);
    config.train.batch = 4;
    config.train.critic_steps = std::min<int64_t>(config.train.critic_steps, 2);
    config.generator.channels = config.discriminator.channels = 4;
    run_preset(config, torch::kCPU);
  }
}

}  // namespace
}  // namespace sgan
