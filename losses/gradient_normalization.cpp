#include "losses/gradient_normalization.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

namespace sgan {

Critic gradient_normalized(Critic critic) {
  return [critic = std::move(critic)](const torch::Tensor& samples) {
    const bool differentiable = torch::GradMode::is_enabled();
    const torch::AutoGradMode with_grad(true);
    const auto x = samples.requires_grad() ? samples : samples.detach().requires_grad_(true);
    const auto f = critic(x);
    const auto gradient = torch::autograd::grad({f.sum()}, {x}, {}, /*retain_graph=*/differentiable,
                                                /*create_graph=*/differentiable)[0];
    // row_norm is never quite 0, which makes 0/0 zero.
    const auto normalized = f / (row_norm(gradient.flatten(1)) + f.abs());
    return differentiable ? normalized : normalized.detach();
  };
}

}  // namespace sgan
