#include "losses/penalties.h"

#include <torch/csrc/autograd/autograd.h>

#include "losses/weight_penalties.h"

namespace sgan {
namespace {

torch::Tensor draw_per_value(const torch::Tensor& real, at::Generator generator) {
  return torch::rand(real.sizes(), generator, real.options());
}

torch::Tensor draw_nothing(const torch::Tensor&, at::Generator) {
  return {};
}

constexpr Penalty kPenalties[] = {
    {.kind = PenaltyKind::gp, .on_samples = gradient_penalty, .draw_noise = draw_epsilon},
    {.kind = PenaltyKind::gp_one_sided, .on_samples = one_sided_gradient_penalty, .draw_noise = draw_epsilon},
    {.kind = PenaltyKind::dragan, .on_samples = dragan_penalty, .draw_noise = draw_per_value},
    {.kind = PenaltyKind::r1, .on_samples = r1_penalty, .draw_noise = draw_nothing},
    {.kind = PenaltyKind::r2, .on_samples = r2_penalty, .draw_noise = draw_nothing},
    {.kind = PenaltyKind::zero_centred, .on_samples = zero_centred_penalty, .draw_noise = draw_epsilon},
    {.kind = PenaltyKind::spectral, .on_weights = spectral_penalty, .draw_noise = draw_nothing},
    {.kind = PenaltyKind::orthogonal, .on_weights = orthogonal_penalty, .draw_noise = draw_nothing},
};

torch::Tensor mean_square_norm(const torch::Tensor& gradient) {
  return gradient.square().sum(1).mean();
}

}  // namespace

torch::Tensor critic_gradient(const Critic& critic, const torch::Tensor& samples) {
  const auto x = samples.detach().requires_grad_(true);
  const auto gradient = torch::autograd::grad({critic(x).sum()}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true);
  return gradient[0].flatten(1);
}

torch::Tensor row_norm(const torch::Tensor& gradient) {
  constexpr double kTiny = 1e-30;  // a normal float32, far below any slope of interest squared
  return gradient.square().sum(1).clamp_min(kTiny).sqrt();
}

torch::Tensor interpolate(const torch::Tensor& real, const torch::Tensor& fake, const torch::Tensor& epsilon) {
  return real + epsilon * (fake - real);
}

torch::Tensor draw_epsilon(const torch::Tensor& real, at::Generator generator) {
  std::vector<int64_t> shape(static_cast<size_t>(real.dim()), 1);
  shape[0] = real.size(0);
  return torch::rand(shape, generator, real.options());
}

torch::Tensor gradient_penalty(const Critic& critic, const torch::Tensor& real, const torch::Tensor& fake,
                               const torch::Tensor& noise) {
  return (row_norm(critic_gradient(critic, interpolate(real, fake, noise))) - 1).square().mean();
}

torch::Tensor one_sided_gradient_penalty(const Critic& critic, const torch::Tensor& real, const torch::Tensor& fake,
                                         const torch::Tensor& noise) {
  return torch::relu(row_norm(critic_gradient(critic, interpolate(real, fake, noise))) - 1).square().mean();
}

torch::Tensor zero_centred_penalty(const Critic& critic, const torch::Tensor& real, const torch::Tensor& fake,
                                   const torch::Tensor& noise) {
  return mean_square_norm(critic_gradient(critic, interpolate(real, fake, noise)));
}

torch::Tensor dragan_penalty(const Critic& critic, const torch::Tensor& real, const torch::Tensor&,
                             const torch::Tensor& noise) {
  const auto samples = real + 0.5 * real.std() * noise;
  return (row_norm(critic_gradient(critic, samples)) - 1).square().mean();
}

torch::Tensor r1_penalty(const Critic& critic, const torch::Tensor& real, const torch::Tensor&, const torch::Tensor&) {
  return 0.5 * mean_square_norm(critic_gradient(critic, real));
}

torch::Tensor r2_penalty(const Critic& critic, const torch::Tensor&, const torch::Tensor& fake, const torch::Tensor&) {
  return 0.5 * mean_square_norm(critic_gradient(critic, fake));
}

const Penalty& penalty(PenaltyKind kind) {
  for (const auto& entry : kPenalties) {
    if (entry.kind == kind) return entry;
  }
  TORCH_CHECK(false, "no penalty ", name_of(kind));
}

}  // namespace sgan
