#include "training/optimizer.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

namespace sgan {
namespace {

std::vector<std::string> slot_names(const OptimizerOptions& options) {
  switch (options.kind) {
    case OptimizerKind::adam:
      return {"exp_avg", "exp_avg_sq"};
    case OptimizerKind::rmsprop:
      if (options.momentum > 0) return {"square_avg", "momentum_buffer"};
      return {"square_avg"};
    case OptimizerKind::sgd:
      if (options.momentum > 0) return {"momentum_buffer"};
      return {};
  }
  TORCH_CHECK(false, "no optimizer ", name_of(options.kind));
}

// The gradient as it is where it lies in memory as its parameter does, else a copy that does.
torch::Tensor with_strides_of(const torch::Tensor& parameter, const torch::Tensor& gradient) {
  if (gradient.strides() == parameter.strides()) return gradient;
  return torch::empty_like(parameter).copy_(gradient);
}

Rate times(const Rate& rate, double factor) {
  return std::visit([factor](const auto& value) { return Rate(value * factor); }, rate);
}

// A rate on the device in the type of what it multiplies, as the multi-tensor kernels want it.
torch::Tensor scalar_for(const std::vector<torch::Tensor>& tensors, const Rate& rate) {
  return std::get<torch::Tensor>(rate).to(tensors.front().scalar_type());
}

}  // namespace

Optimizer::Optimizer(NamedTensors parameters, const OptimizerOptions& options) : options_(options) {
  for (auto& [name, parameter] : parameters) {
    names_.push_back(name);
    parameters_.push_back(parameter);
  }
  torch::NoGradGuard no_grad;
  for (const auto& slot : slot_names(options)) {
    for (const auto& parameter : parameters_) slots_[slot].push_back(torch::zeros_like(parameter));
  }
  if (options.kind == OptimizerKind::adam) {
    for (const auto& parameter : parameters_) {
      slots_["step"].push_back(torch::zeros({}, parameter.options().dtype(torch::kFloat)));
    }
  }
}

NamedTensors Optimizer::state() const {
  NamedTensors state;
  for (const auto& [slot, tensors] : slots_) {
    for (size_t i = 0; i < tensors.size(); ++i) state.emplace_back(names_[i] + "." + slot, tensors[i]);
  }
  return state;
}

void Optimizer::step(const std::vector<torch::Tensor>& gradients, const Rate& lr_factor) {
  TORCH_CHECK(gradients.size() == parameters_.size(), "got ", gradients.size(), " gradients for ", parameters_.size(),
              " parameters");
  torch::NoGradGuard no_grad;
  const auto lr = times(lr_factor, options_.lr);
  switch (options_.kind) {
    case OptimizerKind::adam:
      return step_adam(gradients, lr);
    case OptimizerKind::rmsprop:
      return step_rmsprop(gradients, lr);
    case OptimizerKind::sgd:
      return step_sgd(gradients, lr);
  }
}

void Optimizer::step_adam(const std::vector<torch::Tensor>& gradients, const Rate& lr) {
  // The fused kernel walks through memory, whatever the strides; autograd's gradients have any.
  std::vector<torch::Tensor> aligned;
  for (size_t i = 0; i < gradients.size(); ++i) aligned.push_back(with_strides_of(parameters_[i], gradients[i]));
  at::_foreach_add_(slots_["step"], 1);
  const auto update = [&](const auto& rate) {
    at::_fused_adam_(parameters_, aligned, slots_["exp_avg"], slots_["exp_avg_sq"], /*max_exp_avg_sqs=*/{},
                     slots_["step"], rate, options_.beta1, options_.beta2, /*weight_decay=*/0, options_.eps,
                     /*amsgrad=*/false, /*maximize=*/false);
  };
  if (const auto* number = std::get_if<double>(&lr)) return update(*number);
  const auto& scalar = std::get<torch::Tensor>(lr);
  update(scalar.is_cpu() ? scalar : scalar.to(torch::kFloat));  // all that the kernel for GPUs reads
}

void Optimizer::step_rmsprop(const std::vector<torch::Tensor>& gradients, const Rate& lr) {
  auto& squares = slots_["square_avg"];
  at::_foreach_mul_(squares, options_.alpha);
  at::_foreach_addcmul_(squares, gradients, gradients, 1 - options_.alpha);
  auto denominators = at::_foreach_sqrt(squares);
  at::_foreach_add_(denominators, options_.eps);
  if (options_.momentum == 0) {
    if (const auto* number = std::get_if<double>(&lr)) {
      at::_foreach_addcdiv_(parameters_, gradients, denominators, -*number);
    } else {
      const auto steps = at::_foreach_mul(gradients, scalar_for(parameters_, lr));
      at::_foreach_div_(steps, denominators);
      at::_foreach_sub_(parameters_, steps);
    }
    return;
  }
  auto& buffers = slots_["momentum_buffer"];
  at::_foreach_mul_(buffers, options_.momentum);
  at::_foreach_addcdiv_(buffers, gradients, denominators, 1);
  descend(buffers, lr);
}

void Optimizer::step_sgd(const std::vector<torch::Tensor>& gradients, const Rate& lr) {
  if (options_.momentum == 0) return descend(gradients, lr);
  auto& buffers = slots_["momentum_buffer"];
  at::_foreach_mul_(buffers, options_.momentum);
  at::_foreach_add_(buffers, gradients);
  descend(buffers, lr);
}

void Optimizer::descend(const std::vector<torch::Tensor>& directions, const Rate& lr) {
  if (const auto* number = std::get_if<double>(&lr)) {
    at::_foreach_add_(parameters_, directions, -*number);
  } else {
    at::_foreach_sub_(parameters_, at::_foreach_mul(directions, scalar_for(parameters_, lr)));
  }
}

}  // namespace sgan
