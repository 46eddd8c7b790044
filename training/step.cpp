#include "training/step.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include "training/ema.h"
#include "training/schedule.h"

namespace sgan {
namespace {

// ‖(g₁, g₂, …)‖₂ over all gradients.
torch::Tensor global_norm(const std::vector<torch::Tensor>& gradients) {
  return torch::stack(at::_foreach_norm(gradients)).norm();
}

// D(real) and D(fake), each (N): one batch, unless samples of a batch would see each other.
std::pair<torch::Tensor, torch::Tensor> judge(NetworkImpl& discriminator, const EffectiveWeights& weights,
                                              const torch::Tensor& real, const torch::Tensor& fake) {
  if (discriminator.uses_batch_statistics()) {
    auto critic_real = discriminator.forward(real, weights, Mode::train);
    return {critic_real, discriminator.forward(fake, weights, Mode::train)};
  }
  const auto both = discriminator.forward(torch::cat({real, fake}), weights, Mode::train).chunk(2);
  return {both[0], both[1]};
}

}  // namespace

AdversarialStep::AdversarialStep(TrainingState& state, const Config& config)
    : state_(state),
      loss_(adversarial_loss(config.loss)),
      penalties_(config.penalties),
      constraint_(config.constraint),
      ema_(config.ema) {}

bool AdversarialStep::is_penalty_due(size_t index, int64_t update) const {
  return is_due(update, penalties_[index].every);
}

DiscriminatorReport AdversarialStep::update_discriminator(const DiscriminatorBatch& batch, double lr_factor,
                                                          bool measure) {
  auto& discriminator = *state_.discriminator;
  torch::Tensor fake;
  {
    torch::NoGradGuard no_grad;
    fake = state_.generator->forward(batch.latent, Mode::train_frozen);
  }
  discriminator.advance_parametrizations();
  const auto weights = discriminator.effective_weights();
  const auto [critic_real, critic_fake] = judge(discriminator, weights, batch.real, fake);

  DiscriminatorReport report;
  const auto loss = loss_.discriminator(critic_real, critic_fake);
  const auto critic = [&](const torch::Tensor& x) { return discriminator.forward(x, weights, Mode::train_frozen); };
  const auto penalty = weighted_penalties(critic, batch, fake);
  const auto total = penalty.defined() ? loss + penalty : loss;

  auto& optimizer = *state_.discriminator_optimizer;
  const auto gradients = torch::autograd::grad({total}, optimizer.parameters());
  if (measure) report.grad_norm = global_norm(gradients);
  optimizer.step(gradients, lr_factor);
  constrain();
  ++state_.discriminator_updates;

  report.loss = loss.detach();
  if (penalty.defined()) {
    report.penalty = penalty.detach();
    state_.penalty.copy_(report.penalty);
  }
  report.critic_real = critic_real.detach().mean();
  report.critic_fake = critic_fake.detach().mean();
  return report;
}

GeneratorReport AdversarialStep::update_generator(const torch::Tensor& latent, const torch::Tensor& real,
                                                  double lr_factor, bool measure) {
  auto& generator = *state_.generator;
  auto& discriminator = *state_.discriminator;
  const auto judging = discriminator.frozen_weights();
  generator.advance_parametrizations();
  const auto fake = generator.forward(latent, generator.effective_weights(), Mode::train);
  const auto critic_fake = discriminator.forward(fake, judging, Mode::train_frozen);
  torch::Tensor critic_real;
  if (loss_.generator_needs_real) {
    torch::NoGradGuard no_grad;
    critic_real = discriminator.forward(real, judging, Mode::train_frozen);
  }
  const auto loss = loss_.generator(critic_real, critic_fake);

  GeneratorReport report;
  auto& optimizer = *state_.generator_optimizer;
  const auto gradients = torch::autograd::grad({loss}, optimizer.parameters());
  if (measure) report.grad_norm = global_norm(gradients);
  optimizer.step(gradients, lr_factor);
  ++state_.step;
  if (state_.generator_ema != nullptr) update_ema(*state_.generator_ema, generator, ema_decay(ema_, state_.step));

  report.loss = loss.detach();
  return report;
}

torch::Tensor AdversarialStep::weighted_penalties(const Critic& critic, const DiscriminatorBatch& batch,
                                                  const torch::Tensor& fake) const {
  torch::Tensor sum;
  for (size_t i = 0; i < penalties_.size(); ++i) {
    if (!is_penalty_due(i, state_.discriminator_updates)) continue;
    const auto& [kind, weight, every] = penalties_[i];
    // A penalty that comes every k-th update weighs k times as much (lazy regularization, Karras et al. 2020, 3.1).
    const auto term =
        weight * static_cast<double>(every) * penalty(kind).value(critic, batch.real, fake, batch.penalty_noise[i]);
    sum = sum.defined() ? sum + term : term;
  }
  return sum;
}

void AdversarialStep::constrain() const {
  if (constraint_.kind == ConstraintKind::none) return;
  torch::NoGradGuard no_grad;
  // Weights and biases of linear and convolution layers; a normalization's gain is no weight of a linear map.
  for (const auto& [name, layer] : state_.discriminator->layers()) {
    for (auto& parameter : layer->parameters()) parameter.clamp_(-constraint_.clip, constraint_.clip);
  }
}

}  // namespace sgan
