#include "models/rectify.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/utils.h>

namespace sgan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// True where nothing but the tensor holds its memory.
bool is_ours_alone(const torch::Tensor& tensor) {
  return tensor.use_count() == 1 && tensor.storage().use_count() == 1 && tensor.is_non_overlapping_and_dense();
}

// Zero has its own operations, for no infinity may become NaN.
void rectify_(torch::Tensor& input, double slope) {
  slope == 0 ? torch::relu_(input) : torch::leaky_relu_(input, slope);
}

struct Rectify : torch::autograd::Function<Rectify> {
  static torch::Tensor forward(AutogradContext* context, torch::Tensor input, double slope) {
    rectify_(input, slope);
    context->saved_data["slope"] = slope;
    context->mark_dirty({input});
    context->save_for_backward({input});
    return input;
  }

  static variable_list backward(AutogradContext* context, variable_list& gradients) {
    const auto output = context->get_saved_variables()[0];
    const double slope = context->saved_data["slope"].toDouble();
    torch::Tensor gradient = std::move(gradients[0]);
    // One that is differentiated in turn may not change.
    if (!at::GradMode::is_enabled() && is_ours_alone(gradient)) {
      if (slope == 0) {
        at::threshold_backward_out(gradient, gradient, output, 0);
      } else {
        at::leaky_relu_backward_out(gradient, gradient, output, slope, /*self_is_result=*/true);
      }
      return {gradient, torch::Tensor()};
    }
    return {slope == 0 ? at::threshold_backward(gradient, output, 0)
                       : at::leaky_relu_backward(gradient, output, slope, /*self_is_result=*/true),
            torch::Tensor()};
  }
};

}  // namespace

torch::Tensor rectify_in_place(torch::Tensor input, double slope) {
  if (!input.is_cpu() || input.scalar_type() != torch::kFloat || !input.requires_grad() ||
      !at::GradMode::is_enabled()) {
    rectify_(input, slope);
    return input;
  }
  return Rectify::apply(input, slope);
}

}  // namespace sgan
