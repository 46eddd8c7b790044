#pragma once

#include <torch/types.h>

#include <functional>

namespace sgan {

// ‖∇ₓD(x)‖₂ over a set of points, scalars on the points' device: the largest is attained, hence a lower bound of the
// critic's Lipschitz constant.
struct CriticSlope {
  torch::Tensor mean;
  torch::Tensor max;
};

// critic: samples (N, …) → (N), each output depending on its own sample alone. points: (N, …).
CriticSlope critic_slope(const std::function<torch::Tensor(const torch::Tensor&)>& critic, const torch::Tensor& points);

}  // namespace sgan
