#pragma once

#include <ATen/core/Generator.h>
#include <torch/types.h>

#include <functional>

namespace sgan {

using CriticFunction = std::function<torch::Tensor(const torch::Tensor&)>;  // (N, …) → (N), each from its own sample

// ∇ₓD(x) at every point, shaped as they are, in batches of bounded size.
torch::Tensor gradients_at(const CriticFunction& critic, const torch::Tensor& points);

// ‖∇ₓD(x)‖₂ at every point, (N) in the points' dtype, in batches of bounded size. points: (N, …).
torch::Tensor slopes_at(const CriticFunction& critic, const torch::Tensor& points);

// |D(x + hv) − D(x − hv)| / 2h at every point x, (N), with v along ∇ₓD(x): the largest over several h from 1e-6 to 1e-2
// of the points' typical length, less what rounding may have added. A difference quotient never exceeds the Lipschitz
// constant, whatever kinks and jumps lie between. points: (N, …) float64.
torch::Tensor secants_at(const CriticFunction& critic, const torch::Tensor& points);

// ‖∇ₓD‖₂ at random points within 1e-7 of the typical length of each, (N). A gradient taken exactly on a kink, where
// real images may lie, can exceed the Lipschitz constant; next to it, where D is differentiable, none can. points: (N,
// …) float64.
torch::Tensor slopes_beside(const CriticFunction& critic, const torch::Tensor& points, at::Generator generator);

// ‖∇ₓD(x)‖₂ over a set of points, scalars on the points' device. Off the kinks of D, where points lie almost surely,
// the largest is a lower bound of the critic's Lipschitz constant.
struct CriticSlope {
  torch::Tensor mean;
  torch::Tensor max;
};

// All points as one batch.
CriticSlope critic_slope(const CriticFunction& critic, const torch::Tensor& points);

}  // namespace sgan
