#include "training/loop.h"

#include <fmt/format.h>
#include <torch/utils.h>

#include <chrono>
#include <cmath>
#include <memory>

#include "models/latent.h"
#include "run/random_streams.h"
#include "training/captured_step.h"
#include "training/real_batches.h"
#include "training/schedule.h"
#include "training/step.h"

namespace sgan {
namespace {

class Stopwatch {
 public:
  void start() { started_ = Clock::now(); }
  void stop() { seconds_ += std::chrono::duration<double>(Clock::now() - started_).count(); }
  double seconds() const { return seconds_; }
  void reset() { seconds_ = 0; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point started_ = Clock::now();
  double seconds_ = 0;
};

// Every number a run draws, as a function of what it is for and the update's number.
class Draws {
 public:
  Draws(const Config& config, const Dataset& dataset, torch::Device device)
      : config_(config), device_(device), real_(config, dataset, device) {}

  at::Generator generator(Stream stream, int64_t update) const {
    const auto seed = stream_seed(static_cast<uint64_t>(config_.seed), stream, static_cast<uint64_t>(update));
    return make_generator(seed, device_);
  }

  torch::Tensor latent(Stream stream, int64_t update, int64_t count) const {
    return draw_latents(config_.generator, count, generator(stream, update), device_);
  }

  torch::Tensor real(int64_t update) { return real_.at(update); }

  DiscriminatorBatch discriminator_batch(int64_t update, const AdversarialStep& step) {
    DiscriminatorBatch batch{real(update), latent(Stream::latent_d, update, config_.train.batch), {}};
    auto noise = generator(Stream::penalty, update);
    for (size_t i = 0; i < config_.penalties.size(); ++i) {
      const auto draw = penalty(config_.penalties[i].kind).draw_noise;
      batch.penalty_noise.push_back(step.is_penalty_due(i, update) ? draw(batch.real, noise) : torch::Tensor());
    }
    return batch;
  }

 private:
  const Config& config_;
  torch::Device device_;
  RealBatches real_;
};

double read(const torch::Tensor& scalar) {
  return scalar.item<double>();
}

void check_finite(const LogPoint& point) {
  for (const auto& [name, value] :
       {std::pair{"loss_d", point.loss_d}, {"loss_g", point.loss_g}, {"penalty", point.penalty.value_or(0)}}) {
    if (std::isfinite(value)) continue;
    const char* what = std::isnan(value) ? "NaN" : value > 0 ? "infinite" : "minus infinite";
    throw DivergenceError(
        fmt::format("training has diverged: {} is {} at step {}. The last checkpoint is untouched. Lower the "
                    "learning rates, or use a stronger constraint or penalty.",
                    name, what, point.step));
  }
}

std::unique_ptr<AdversarialStep> make_step(TrainingState& state, const Config& config, GraphRecorder* recorder,
                                           const LoopHooks& hooks) {
  if (recorder == nullptr) return std::make_unique<AdversarialStep>(state, config);
  return std::make_unique<CapturedStep>(state, config, *recorder, [&hooks](const std::string& why) {
    if (hooks.on_fallback) hooks.on_fallback(why);
  });
}

CriticProbe probe(const Config& config, const TrainingState& state, Draws& draws) {
  const auto real = draws.real(state.discriminator_updates - 1);
  torch::NoGradGuard no_grad;
  const auto fake = state.generator->forward(draws.latent(Stream::probe, state.step, real.size(0)), Mode::eval);
  // The latents took the stream's number `step`; the interpolates take a number that no step has.
  const auto epsilon = draw_epsilon(real, draws.generator(Stream::probe, -state.step));
  return probe_critic(*state.discriminator, config.discriminator.gradient_normalization, real, fake, epsilon);
}

}  // namespace

LoopEnd run_loop(const Config& config, TrainingState& state, const Dataset& dataset, torch::Device device,
                 const LoopHooks& hooks, GraphRecorder* recorder) {
  const auto step = make_step(state, config, recorder, hooks);
  Draws draws(config, dataset, device);
  const auto last_step = config.train.steps;
  const auto generator_batch = config.train.generator_batch > 0 ? config.train.generator_batch : config.train.batch;
  Stopwatch wall;  // runs from here on
  Stopwatch updates;
  double seconds_until_log = state.train_seconds;
  int64_t steps_since_log = 0;
  const auto time_is_up = [&] {
    return config.train.seconds > 0 && seconds_until_log + updates.seconds() >= config.train.seconds;
  };

  // The untrained generator's samples begin the timeline.
  if (state.step == 0 && hooks.on_sample) hooks.on_sample(0);

  for (bool last = false; !last && state.step < last_step;) {
    // What follows this step, known before it, so that only such steps measure.
    const auto number = state.step + 1;
    last = number == last_step || time_is_up();
    const bool probes = is_due(number, config.lipschitz.every) || (last && config.lipschitz.every > 0);
    const bool logs = is_due(number, config.log.every) || probes || last;

    // The discriminator's updates.
    updates.start();
    const auto lr_factor = learning_rate_factor(config, state.step);
    DiscriminatorReport d;
    torch::Tensor real;
    for (auto left = critic_steps(config.train, state.step); left > 0; --left) {
      const auto batch = draws.discriminator_batch(state.discriminator_updates, *step);
      d = step->update_discriminator(batch, lr_factor, logs && left == 1);
      real = batch.real;
    }

    // The generator's update.
    const auto latent = draws.latent(Stream::latent_g, state.step, generator_batch);
    const auto g = step->update_generator(latent, real, lr_factor, logs);
    ++steps_since_log;

    const bool stops = !last && hooks.stop_requested && hooks.stop_requested();
    const bool samples = last || is_due(number, config.sample.every);
    const bool saves = last || stops || is_due(number, config.checkpoint.every);
    const bool evaluates = is_due(number, config.evaluation.every) || (last && config.evaluation.every > 0);

    // The log point waits for the device.
    if (logs) {
      LogPoint point;
      point.step = number;
      point.last = last;
      point.images = state.discriminator_updates * config.train.batch;
      point.loss_d = read(d.loss);
      point.loss_g = read(g.loss);
      if (state.penalty.defined()) point.penalty = read(state.penalty);
      point.critic_real = read(d.critic_real);
      point.critic_fake = read(d.critic_fake);
      point.grad_norm_d = read(d.grad_norm);
      point.grad_norm_g = read(g.grad_norm);
      updates.stop();
      point.ms_per_step = 1000 * updates.seconds() / static_cast<double>(steps_since_log);
      seconds_until_log += updates.seconds();
      state.train_seconds = seconds_until_log;
      point.train_s = seconds_until_log;
      updates.reset();
      steps_since_log = 0;
      check_finite(point);
      if (probes) {
        Stopwatch probing;
        point.probe = probe(config, state, draws);
        probing.stop();
        point.probe_ms = 1000 * probing.seconds();
      }
      wall.stop();
      point.wall_s = wall.seconds();
      wall.start();
      if (hooks.on_log) hooks.on_log(point);
    } else {
      // Hooks that read the device wait for the updates; that time is the updates'. Nothing is made of a diverged run.
      LogPoint point;
      point.step = number;
      if (samples || saves || evaluates) {
        point.loss_d = read(d.loss);
        point.loss_g = read(g.loss);
      }
      updates.stop();
      state.train_seconds = seconds_until_log + updates.seconds();
      check_finite(point);
    }

    if (samples && hooks.on_sample) hooks.on_sample(number);
    if (evaluates && hooks.on_evaluate) hooks.on_evaluate(number);
    if (saves && hooks.on_checkpoint) hooks.on_checkpoint(number);
    if (hooks.on_step) hooks.on_step(number);
    if (stops) return LoopEnd::interrupted;
  }
  return LoopEnd::finished;
}

}  // namespace sgan
