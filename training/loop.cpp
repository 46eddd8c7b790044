#include "training/loop.h"

#include <torch/utils.h>

#include <chrono>
#include <memory>

#include "training/captured_step.h"
#include "training/divergence.h"
#include "training/draws.h"
#include "training/schedule.h"

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

double read(const torch::Tensor& scalar) {
  return scalar.item<double>();
}

std::unique_ptr<AdversarialStep> make_step(TrainingState& state, const Config& config, GraphRecorder* recorder,
                                           const LoopHooks& hooks) {
  if (recorder == nullptr) return std::make_unique<AdversarialStep>(state, config);
  return std::make_unique<CapturedStep>(state, config, *recorder, [&hooks](const std::string& why) {
    if (hooks.on_fallback) hooks.on_fallback(why);
  });
}

CriticProbe probe(const Config& config, const TrainingState& state, const Draws& draws, const torch::Tensor& real,
                  const torch::Tensor& fake) {
  // The latents of `fake` took the stream's number `step`; the interpolates take a number that no step has.
  const auto epsilon = draw_epsilon(real, draws.generator(Stream::probe, -state.step));
  return probe_critic(*state.discriminator, config.discriminator.gradient_normalization, real, fake, epsilon);
}

// Probes and surveys the critic on the real samples of its last update and on as many generated ones.
void measure_critic(const Config& config, const TrainingState& state, const Draws& draws, const torch::Tensor& real,
                    bool probes, bool surveys, LogPoint& point) {
  if (!probes && !surveys) return;
  Stopwatch probing;
  torch::Tensor fake;
  {
    torch::NoGradGuard no_grad;
    fake = state.generator->forward(draws.latent(Stream::probe, state.step, real.size(0)), Mode::eval);
  }
  if (probes) {
    point.probe = probe(config, state, draws, real, fake);
    probing.stop();
    point.probe_ms = 1000 * probing.seconds();
  }
  if (surveys) {
    point.survey = survey_critic(*state.discriminator, config.discriminator.gradient_normalization, real, fake);
  }
}

// The numbers of a step's last updates, which are waited for.
LogPoint point_of(const TrainingState& state, const DiscriminatorReport& d, const GeneratorReport& g) {
  LogPoint point;
  point.loss_d = read(d.loss);
  point.loss_g = read(g.loss);
  if (state.penalty.defined()) point.penalty = read(state.penalty);
  point.critic_real = read(d.critic_real);
  point.critic_fake = read(d.critic_fake);
  point.grad_norm_d = read(d.grad_norm);
  point.grad_norm_g = read(g.grad_norm);
  return point;
}

}  // namespace

LoopEnd run_loop(const Config& config, TrainingState& state, const Dataset& dataset, torch::Device device,
                 const LoopHooks& hooks, GraphRecorder* recorder, Collective* collective) {
  const auto step = make_step(state, config, recorder, hooks);
  step->share(collective);
  std::optional<SharedBatchNorms> shared_norms;
  if (collective != nullptr) shared_norms.emplace(*collective, state, config);
  WeightTails tails(state, config);
  const bool counts_tails = state.generator_tails.defined() || state.discriminator_tails.defined();
  if (counts_tails && recorder == nullptr) step->observe(&tails);
  Draws draws(config, dataset, device, RealBatches::Place::automatic,
              collective != nullptr ? collective->part() : BatchPart());
  // What is measured beside the updates is of whole batches, and the first process's alone.
  const bool measures = collective == nullptr || collective->is_first();
  std::optional<Draws> whole;
  if (collective != nullptr && measures) whole.emplace(config, dataset, device, RealBatches::Place::host);
  const auto agreed = [collective](bool mine) { return collective == nullptr ? mine : any(*collective, mine); };
  FiniteFlag finite(device);
  const auto last_step = config.train.steps;
  Stopwatch wall;  // runs from here on
  Stopwatch updates;
  double seconds_until_log = state.train_seconds;
  int64_t steps_since_log = 0;
  const auto time_is_up = [&] {
    return config.train.seconds > 0 && agreed(seconds_until_log + updates.seconds() >= config.train.seconds);
  };

  // The untrained generator's samples begin the timeline.
  if (state.step == 0 && hooks.on_sample) hooks.on_sample(0);

  for (bool last = false; !last && state.step < last_step;) {
    // What follows this step, known before it, so that only such steps measure.
    const auto number = state.step + 1;
    last = number == last_step || time_is_up();
    const bool probes = is_due(number, config.lipschitz.every) || (last && config.lipschitz.every > 0);
    const bool watches = is_due(number, config.watchdog.every);
    const bool logs = is_due(number, config.log.every) || probes || watches || last;

    // The discriminator's updates.
    updates.start();
    const auto lr_factor = learning_rate_factor(config, state.step) * state.lr_scale;
    DiscriminatorReport d;
    torch::Tensor real;
    for (auto left = critic_steps(config.train, state.step); left > 0; --left) {
      const auto batch = draws.discriminator_batch(state.discriminator_updates, *step);
      d = step->update_discriminator(batch, lr_factor, logs && left == 1);
      finite.record(number, {{"loss_d", d.loss}, {"penalty", d.penalty}});
      real = batch.real;
    }

    // The generator's update.
    const auto g = step->update_generator(draws.generator_latent(state.step), real, lr_factor, logs);
    finite.record(number, {{"loss_g", g.loss}});
    ++steps_since_log;

    // The log point waits for the device.
    if (logs) {
      auto point = point_of(state, d, g);
      updates.stop();
      point.step = number;
      point.last = last;
      point.images = state.discriminator_updates * config.train.batch + state.other_batches_images;
      point.ms_per_step = 1000 * updates.seconds() / static_cast<double>(steps_since_log);
      seconds_until_log += updates.seconds();
      state.train_seconds = seconds_until_log;
      point.train_s = seconds_until_log;
      updates.reset();
      steps_since_log = 0;
      finite.check();
      if (measures) {
        if (whole && (probes || watches)) real = whole->real(state.discriminator_updates - 1);
        measure_critic(config, state, draws, real, probes, watches, point);
      }
      point.generator_tails = tails.take_generator();
      point.discriminator_tails = tails.take_discriminator();
      wall.stop();
      point.wall_s = wall.seconds();
      wall.start();
      if (hooks.on_log) hooks.on_log(point);
    }

    const bool stops = !last && agreed(hooks.stop_requested && hooks.stop_requested());
    const bool samples = last || is_due(number, config.sample.every);
    const bool saves = last || stops || is_due(number, config.checkpoint.every);
    const bool evaluates = is_due(number, config.evaluation.every) || (last && config.evaluation.every > 0);
    if (!logs) {
      // Hooks that read the device wait for the updates; that time is the updates'. Nothing is made of a diverged run.
      if (samples || saves || evaluates) finite.check();
      updates.stop();
      state.train_seconds = seconds_until_log + updates.seconds();
    }
    if (samples && hooks.on_sample) hooks.on_sample(number);
    if (evaluates && hooks.on_evaluate) hooks.on_evaluate(number);
    if (saves && collective != nullptr) {
      settle_state(*collective, state, config.parallel.batch_norm);
      // Where the first process cannot save, all are to know.
      require_finite(named_tensors(state), number);
    }
    if (saves && hooks.on_checkpoint) hooks.on_checkpoint(number);
    if (hooks.on_step) hooks.on_step(number);
    if (stops) return LoopEnd::interrupted;
  }
  return LoopEnd::finished;
}

}  // namespace sgan
