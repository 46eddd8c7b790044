#include "lipschitz/critic_slope.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

namespace sgan {

CriticSlope critic_slope(const std::function<torch::Tensor(const torch::Tensor&)>& critic,
                         const torch::Tensor& points) {
  const torch::AutoGradMode with_grad(true);
  const auto x = points.detach().requires_grad_(true);
  const auto gradient = torch::autograd::grad({critic(x).sum()}, {x})[0];
  const auto slopes = gradient.flatten(1).norm(2, 1);
  return {slopes.mean(), slopes.max()};
}

}  // namespace sgan
