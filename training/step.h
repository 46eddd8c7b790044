#pragma once

#include <utility>
#include <vector>

#include "losses/adversarial.h"
#include "losses/penalties.h"
#include "training/collective.h"
#include "training/rate.h"
#include "training/state.h"

namespace sgan {

// What one discriminator update consumes. real: (N, C, H, W) or (N, 2); latent: (N, latent); penalty_noise: one per
// configured penalty, as its draw_noise made it (undefined where it needs none or is not due).
struct DiscriminatorBatch {
  torch::Tensor real;
  torch::Tensor latent;
  std::vector<torch::Tensor> penalty_noise;
};

// Scalars on the device, read by whoever wants to wait for them. grad_norm only if asked for. The same network's next
// update may overwrite them.
struct DiscriminatorReport {
  torch::Tensor loss;     // the adversarial loss alone
  torch::Tensor penalty;  // weighted sum; undefined without penalties
  torch::Tensor critic_real;
  torch::Tensor critic_fake;
  torch::Tensor grad_norm;
};
struct GeneratorReport {
  torch::Tensor loss;
  torch::Tensor grad_norm;
};

// Is shown what updates compute, in their order. For whoever searches them.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  virtual void see(const std::string& name, const torch::Tensor& value) = 0;
};

// The arithmetic of a training step: one update of either network, from given numbers, without any randomness.
class AdversarialStep {
 public:
  AdversarialStep(TrainingState& state, const Config& config);
  AdversarialStep(const AdversarialStep&) = delete;
  AdversarialStep& operator=(const AdversarialStep&) = delete;
  virtual ~AdversarialStep() = default;

  // The generator runs without graph on batch statistics and none of it moves. The discriminator's parametrizations
  // advance once; the effective weights they then give serve real, fake and every penalty.
  DiscriminatorReport update_discriminator(const DiscriminatorBatch& batch, double lr_factor, bool measure);

  // The discriminator's weights are recomputed from its newest parameters, without graph, and none of it moves.
  // real: only read where the loss compares with it. Updates the averaged generator too, and counts the step.
  GeneratorReport update_generator(const torch::Tensor& latent, const torch::Tensor& real, double lr_factor,
                                   bool measure);

  // From now on the observer, which must outlive this, is shown the updates; none if null. Not for captured updates.
  void observe(StepObserver* observer) { observer_ = observer; }

  // From now on batches are this process's parts, and gradients and reports the means over all processes. collective:
  // must outlive this; null if there is one process. Not for captured updates.
  void share(Collective* collective) { collective_ = collective; }

  // True where penalty `index` is part of the discriminator update with this number, counted from 0.
  bool is_penalty_due(size_t index, int64_t update) const;

 protected:
  // What tells one discriminator update's operations from another's.
  struct DiscriminatorForm {
    std::vector<bool> penalties_due;
    bool measure;
    auto operator<=>(const DiscriminatorForm&) const = default;
  };

  // The updates themselves, all but the counters. Nothing in them waits for the device, and what they do there is the
  // same each time but for what the tensors hold, so that they can be captured.
  DiscriminatorReport compute_discriminator(const DiscriminatorForm& form, const DiscriminatorBatch& batch,
                                            const Rate& lr_factor);
  GeneratorReport compute_generator(bool measure, const torch::Tensor& latent, const torch::Tensor& real,
                                    const Rate& lr_factor, const Rate& decay);

 private:
  // How the updates are run: at once, operation by operation.
  virtual DiscriminatorReport run_discriminator(const DiscriminatorForm& form, const DiscriminatorBatch& batch,
                                                double lr_factor);
  virtual GeneratorReport run_generator(bool measure, const torch::Tensor& latent, const torch::Tensor& real,
                                        double lr_factor, double decay);

  // A forward pass in that precision, its result in the input's type.
  static torch::Tensor run(NetworkImpl& network, const torch::Tensor& input, const EffectiveWeights& weights, Mode mode,
                           Precision precision);
  // The function that the losses see: the discriminator with these weights, gradient-normalized if so configured.
  // Whatever differentiates it by its input, a penalty or that normalization, gets no bfloat16, which would leave the
  // gradient two or three digits.
  enum class Use { value, input_gradient };
  Critic critic(EffectiveWeights weights, Mode mode, Use use) const;
  // D(real) and D(fake), each (N): one batch, unless samples of a batch would see each other.
  std::pair<torch::Tensor, torch::Tensor> judge(const EffectiveWeights& weights, const torch::Tensor& real,
                                                const torch::Tensor& fake) const;
  // Their sum, undefined where none is due.
  torch::Tensor weighted_penalties(const std::vector<bool>& due, const EffectiveWeights& weights,
                                   const DiscriminatorBatch& batch, const torch::Tensor& fake) const;
  void constrain() const;
  // Where several processes train: the means over them, of whatever is defined.
  void average_over_processes(std::vector<torch::Tensor>& gradients, const std::vector<torch::Tensor*>& numbers) const;
  // Show the observer, if there is one: values, a network's effective weights, the tensors of an optimizer's
  // parameters in the order in which a backward pass makes them.
  void show(const char* name, const torch::Tensor& value) const;
  void show(const char* prefix, const NetworkImpl& network, const EffectiveWeights& weights) const;
  void show(const char* prefix, const Optimizer& optimizer, const std::vector<torch::Tensor>& tensors) const;

  TrainingState& state_;
  const AdversarialLoss& loss_;
  std::vector<PenaltyOptions> penalties_;
  bool gradient_normalization_;
  ConstraintOptions constraint_;
  EmaOptions ema_;
  Precision precision_;
  StepObserver* observer_ = nullptr;
  Collective* collective_ = nullptr;
};

}  // namespace sgan
