#pragma once

#include <ATen/core/Generator.h>
#include <torch/types.h>

#include <functional>
#include <vector>

#include "configs/options.h"

namespace sgan {

// What a penalty needs of a critic: samples (N, …) → (N), differentiable twice.
using Critic = std::function<torch::Tensor(const torch::Tensor&)>;

// ∇ₓD at each sample, flattened to (N, C·H·W), with graph so that it can be part of a loss.
torch::Tensor critic_gradient(const Critic& critic, const torch::Tensor& samples);

// ‖g‖₂ per row, (N); its gradient at g = 0 is 0, where the plain square root's is NaN.
torch::Tensor row_norm(const torch::Tensor& gradient);

// x_r + ε (x_f − x_r) with ε (N, 1, …) in [0, 1].
torch::Tensor interpolate(const torch::Tensor& real, const torch::Tensor& fake, const torch::Tensor& epsilon);

// Such an ε ~ U(0, 1) for a batch like `real`, on its device.
torch::Tensor draw_epsilon(const torch::Tensor& real, at::Generator generator);

// Penalties on the critic's slope, means over the batch of sums over C, H, W; without their weight factor.
// `noise` is what draw_noise returned: ε (N, 1, …) ~ U(0, 1), or for dragan (N, C, H, W) ~ U(0, 1).

// (‖∇D(x̂)‖₂ − 1)² at interpolates (Gulrajani et al. 2017).
torch::Tensor gradient_penalty(const Critic&, const torch::Tensor& real, const torch::Tensor& fake,
                               const torch::Tensor& noise);
// max(0, ‖∇D(x̂)‖₂ − 1)² at interpolates (WGAN-LP, Petzka et al. 2018).
torch::Tensor one_sided_gradient_penalty(const Critic&, const torch::Tensor& real, const torch::Tensor& fake,
                                         const torch::Tensor& noise);
// ‖∇D(x̂)‖₂² at interpolates (Thanh-Tung et al. 2019).
torch::Tensor zero_centred_penalty(const Critic&, const torch::Tensor& real, const torch::Tensor& fake,
                                   const torch::Tensor& noise);
// (‖∇D(x)‖₂ − 1)² at x = x_r + 0.5·std(x_r)·U[0, 1] (Kodali et al. 2017, as in their code).
torch::Tensor dragan_penalty(const Critic&, const torch::Tensor& real, const torch::Tensor& fake,
                             const torch::Tensor& noise);
// ½ ‖∇D(x_r)‖₂² (R1, Mescheder et al. 2018); its weight is γ. R2 is the same on fakes.
torch::Tensor r1_penalty(const Critic&, const torch::Tensor& real, const torch::Tensor& fake,
                         const torch::Tensor& noise);
torch::Tensor r2_penalty(const Critic&, const torch::Tensor& real, const torch::Tensor& fake,
                         const torch::Tensor& noise);

// A config's name for a penalty, which is either one of these or one of weight_penalties.h; the other pointer is null.
// draw_noise: for a batch like `real`, on its device; undefined where none is needed.
struct Penalty {
  PenaltyKind kind;
  torch::Tensor (*on_samples)(const Critic&, const torch::Tensor& real, const torch::Tensor& fake,
                              const torch::Tensor& noise) = nullptr;
  torch::Tensor (*on_weights)(const std::vector<torch::Tensor>& matrices) = nullptr;
  torch::Tensor (*draw_noise)(const torch::Tensor& real, at::Generator generator);
};
const Penalty& penalty(PenaltyKind kind);

}  // namespace sgan
