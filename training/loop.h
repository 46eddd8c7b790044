#pragma once

#include <functional>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "training/collective.h"
#include "training/graph_capture.h"
#include "training/probe.h"
#include "training/state.h"
#include "training/watchdog.h"
#include "training/weight_tails.h"

namespace sgan {

// One line of metrics.jsonl: losses and outputs of the step's last updates, read from the device only now.
struct LogPoint {
  int64_t step = 0;
  bool last = false;   // the run's last step
  int64_t images = 0;  // real images the discriminator has seen
  double wall_s = 0;   // since the loop began
  double train_s = 0;  // of updates and batch delivery since the run began
  double loss_d = 0;
  double loss_g = 0;
  std::optional<double> penalty;  // weighted, of the last update that had one; absent without penalties
  double critic_real = 0;
  double critic_fake = 0;
  double grad_norm_d = 0;
  double grad_norm_g = 0;
  double ms_per_step = 0;  // wall time of updates and batch delivery since the last log point, alone
  std::optional<CriticProbe> probe;
  double probe_ms = 0;                 // wall time that the probe took
  std::optional<CriticSurvey> survey;  // where the watchdog looks
  // Of networks with a quantizer.
  std::optional<TailReport> generator_tails;
  std::optional<TailReport> discriminator_tails;
};

// What the loop tells its surroundings. All may be empty. Each is called after the step it names, in this order: what a
// step makes is there before its checkpoint, so that a run that is killed makes it again or has it.
struct LoopHooks {
  std::function<void(const LogPoint&)> on_log;
  std::function<void(int64_t step)> on_sample;
  std::function<void(int64_t step)> on_evaluate;
  std::function<void(int64_t step)> on_checkpoint;
  std::function<void(int64_t step)> on_step;
  std::function<void(const std::string&)> on_fallback = {};  // called within a step: why some updates are not captured
  std::function<bool()> stop_requested;                      // asked after each step and its log; true: save and return
};

enum class LoopEnd { finished, interrupted };

// Trains from state.step to config.train.steps, until config.train.seconds of updates are over (the step that follows
// is the last one), or to the first step at which a stop is requested. The last step always logs, samples and saves.
// recorder: where given, updates are captured with it and replayed. collective: where given, this process trains with
// others, and all of them stop together; the first one alone measures what log points have besides the updates'
// numbers. Errors: DivergenceError, on a CPU at that step, on another device at the next one that logs, samples,
// evaluates or saves.
LoopEnd run_loop(const Config& config, TrainingState& state, const Dataset& dataset, torch::Device device,
                 const LoopHooks& hooks, GraphRecorder* recorder = nullptr, Collective* collective = nullptr);

}  // namespace sgan
