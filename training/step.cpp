#include "training/step.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <algorithm>

#include "losses/gradient_normalization.h"
#include "normalization/reshape.h"
#include "training/ema.h"
#include "training/precision.h"
#include "training/schedule.h"

namespace sgan {
namespace {

// ‖(g₁, g₂, …)‖₂ over all gradients.
torch::Tensor global_norm(const std::vector<torch::Tensor>& gradients) {
  return torch::stack(at::_foreach_norm(gradients)).norm();
}

// Each layer's weight as (outputs, everything else).
std::vector<torch::Tensor> matrices_of(const NetworkImpl& network, const EffectiveWeights& weights) {
  std::vector<torch::Tensor> matrices;
  for (const auto& [name, layer] : network.layers()) {
    matrices.push_back(reshape_to_matrix(weights.of(*layer), layer->geometry().output_dim()));
  }
  return matrices;
}

}  // namespace

AdversarialStep::AdversarialStep(TrainingState& state, const Config& config)
    : state_(state),
      loss_(adversarial_loss(config.loss)),
      penalties_(config.penalties),
      gradient_normalization_(config.discriminator.gradient_normalization),
      constraint_(config.constraint),
      ema_(config.ema),
      precision_(config.precision) {}

torch::Tensor AdversarialStep::run(NetworkImpl& network, const torch::Tensor& input, const EffectiveWeights& weights,
                                   Mode mode, Precision precision) {
  const AutocastScope autocast(precision, input.device());
  return network.forward(input, weights, mode).to(input.scalar_type());
}

Critic AdversarialStep::critic(EffectiveWeights weights, Mode mode, Use use) const {
  const bool differentiates = use == Use::input_gradient || gradient_normalization_;
  const auto precision = differentiates && precision_ == Precision::bf16 ? Precision::fp32 : precision_;
  Critic plain = [this, weights = std::move(weights), mode, precision](const torch::Tensor& x) {
    return run(*state_.discriminator, x, weights, mode, precision);
  };
  return gradient_normalization_ ? gradient_normalized(std::move(plain)) : plain;
}

std::pair<torch::Tensor, torch::Tensor> AdversarialStep::judge(const EffectiveWeights& weights,
                                                               const torch::Tensor& real,
                                                               const torch::Tensor& fake) const {
  const auto judging = critic(weights, Mode::train, Use::value);
  if (state_.discriminator->uses_batch_statistics()) {
    auto critic_real = judging(real);
    return {critic_real, judging(fake)};
  }
  const auto both = judging(torch::cat({real, fake})).chunk(2);
  return {both[0], both[1]};
}

bool AdversarialStep::is_penalty_due(size_t index, int64_t update) const {
  return is_due(update, penalties_[index].every);
}

DiscriminatorReport AdversarialStep::update_discriminator(const DiscriminatorBatch& batch, double lr_factor,
                                                          bool measure) {
  DiscriminatorForm form{{}, measure};
  for (size_t i = 0; i < penalties_.size(); ++i) {
    form.penalties_due.push_back(is_penalty_due(i, state_.discriminator_updates));
  }
  auto report = run_discriminator(form, batch, lr_factor);
  ++state_.discriminator_updates;
  return report;
}

GeneratorReport AdversarialStep::update_generator(const torch::Tensor& latent, const torch::Tensor& real,
                                                  double lr_factor, bool measure) {
  auto report = run_generator(measure, latent, real, lr_factor, ema_decay(ema_, state_.step + 1));
  ++state_.step;
  return report;
}

DiscriminatorReport AdversarialStep::run_discriminator(const DiscriminatorForm& form, const DiscriminatorBatch& batch,
                                                       double lr_factor) {
  return compute_discriminator(form, batch, lr_factor);
}

GeneratorReport AdversarialStep::run_generator(bool measure, const torch::Tensor& latent, const torch::Tensor& real,
                                               double lr_factor, double decay) {
  return compute_generator(measure, latent, real, lr_factor, decay);
}

DiscriminatorReport AdversarialStep::compute_discriminator(const DiscriminatorForm& form,
                                                           const DiscriminatorBatch& batch, const Rate& lr_factor) {
  auto& discriminator = *state_.discriminator;
  torch::Tensor fake;
  {
    torch::NoGradGuard no_grad;
    fake = run(*state_.generator, batch.latent, state_.generator->effective_weights(), Mode::train_frozen, precision_);
  }
  show("real samples", batch.real);
  show("latents", batch.latent);
  show("generated samples", fake);
  discriminator.advance_parametrizations();
  const auto weights = discriminator.effective_weights();
  show("effective weight of discriminator.", discriminator, weights);
  const auto [critic_real, critic_fake] = judge(weights, batch.real, fake);
  show("critic of real samples", critic_real);
  show("critic of generated samples", critic_fake);

  DiscriminatorReport report;
  const auto loss = loss_.discriminator(critic_real, critic_fake);
  const auto penalty = weighted_penalties(form.penalties_due, weights, batch, fake);
  const auto total = penalty.defined() ? loss + penalty : loss;
  show("discriminator's loss", loss);
  show("discriminator's penalty", penalty);

  auto& optimizer = *state_.discriminator_optimizer;
  auto gradients = torch::autograd::grad({total}, optimizer.parameters());
  report.loss = loss.detach();
  if (penalty.defined()) report.penalty = penalty.detach();
  report.critic_real = critic_real.detach().mean();
  report.critic_fake = critic_fake.detach().mean();
  average_over_processes(gradients, {&report.loss, &report.penalty, &report.critic_real, &report.critic_fake});
  show("gradient of discriminator.", optimizer, gradients);
  if (form.measure) report.grad_norm = global_norm(gradients);
  optimizer.step(gradients, lr_factor);
  constrain();
  show("updated discriminator.", optimizer, optimizer.parameters());

  if (penalty.defined()) state_.penalty.copy_(report.penalty);
  return report;
}

GeneratorReport AdversarialStep::compute_generator(bool measure, const torch::Tensor& latent, const torch::Tensor& real,
                                                   const Rate& lr_factor, const Rate& decay) {
  auto& generator = *state_.generator;
  const auto frozen = state_.discriminator->frozen_weights();
  const auto judging = critic(frozen, Mode::train_frozen, Use::value);
  generator.advance_parametrizations();
  const auto weights = generator.effective_weights();
  const auto fake = run(generator, latent, weights, Mode::train, precision_);
  const auto critic_fake = judging(fake);
  show("latents", latent);
  show("effective weight of generator.", generator, weights);
  show("generated samples", fake);
  show("effective weight of discriminator.", *state_.discriminator, frozen);
  show("critic of generated samples", critic_fake);
  torch::Tensor critic_real;
  if (loss_.generator_needs_real) {
    torch::NoGradGuard no_grad;
    critic_real = judging(real);
  }
  const auto loss = loss_.generator(critic_real, critic_fake);
  show("generator's loss", loss);

  GeneratorReport report;
  auto& optimizer = *state_.generator_optimizer;
  auto gradients = torch::autograd::grad({loss}, optimizer.parameters());
  report.loss = loss.detach();
  average_over_processes(gradients, {&report.loss});
  show("gradient of generator.", optimizer, gradients);
  if (measure) report.grad_norm = global_norm(gradients);
  optimizer.step(gradients, lr_factor);
  show("updated generator.", optimizer, optimizer.parameters());
  if (state_.generator_ema != nullptr) update_ema(*state_.generator_ema, generator, decay);
  return report;
}

torch::Tensor AdversarialStep::weighted_penalties(const std::vector<bool>& due, const EffectiveWeights& weights,
                                                  const DiscriminatorBatch& batch, const torch::Tensor& fake) const {
  const auto value_of = [&](const Penalty& entry, const torch::Tensor& noise) {
    if (entry.on_weights != nullptr) return entry.on_weights(matrices_of(*state_.discriminator, weights));
    return entry.on_samples(critic(weights, Mode::train_frozen, Use::input_gradient), batch.real, fake, noise);
  };
  torch::Tensor sum;
  for (size_t i = 0; i < penalties_.size(); ++i) {
    if (!due[i]) continue;
    const auto& [kind, weight, every] = penalties_[i];
    // A penalty that comes every k-th update weighs k times as much (lazy regularization, Karras et al. 2020, 3.1).
    const auto term = weight * static_cast<double>(every) * value_of(penalty(kind), batch.penalty_noise[i]);
    sum = sum.defined() ? sum + term : term;
  }
  return sum;
}

void AdversarialStep::show(const char* name, const torch::Tensor& value) const {
  if (observer_ != nullptr && value.defined()) observer_->see(name, value.detach());
}

void AdversarialStep::show(const char* prefix, const NetworkImpl& network, const EffectiveWeights& weights) const {
  if (observer_ == nullptr) return;
  for (const auto& [name, layer] : network.layers()) observer_->see(prefix + name, weights.of(*layer).detach());
}

void AdversarialStep::show(const char* prefix, const Optimizer& optimizer,
                           const std::vector<torch::Tensor>& tensors) const {
  if (observer_ == nullptr) return;
  for (size_t i = tensors.size(); i-- > 0;) observer_->see(prefix + optimizer.names()[i], tensors[i].detach());
}

void AdversarialStep::average_over_processes(std::vector<torch::Tensor>& gradients,
                                             const std::vector<torch::Tensor*>& numbers) const {
  if (collective_ == nullptr) return;
  auto all = gradients;
  for (const auto* number : numbers) {
    if (number->defined()) all.push_back(*number);
  }
  average(*collective_, all);
  auto next = std::ranges::copy_n(all.begin(), std::ssize(gradients), gradients.begin()).in;
  for (auto* number : numbers) {
    if (number->defined()) *number = *next++;
  }
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
