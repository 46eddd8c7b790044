#pragma once

#include <torch/types.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "configs/options.h"
#include "training/rate.h"

namespace sgan {

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

// Adam (Kingma & Ba 2015), RMSprop (Hinton 2012) or SGD with momentum over a fixed list of parameters, with the update
// rules and slot names of torch.optim. Takes gradients as values, so nothing accumulates and nothing needs zeroing.
class Optimizer {
 public:
  Optimizer(NamedTensors parameters, const OptimizerOptions& options);

  // One update. gradients: one per parameter, in their order; lr_factor scales the configured learning rate.
  void step(const std::vector<torch::Tensor>& gradients, const Rate& lr_factor);

  const std::vector<torch::Tensor>& parameters() const { return parameters_; }
  const std::vector<std::string>& names() const { return names_; }  // of the parameters
  // What a checkpoint must hold: `<parameter>.exp_avg` and so on, sharing memory with the optimizer.
  NamedTensors state() const;

 private:
  void step_adam(const std::vector<torch::Tensor>& gradients, const Rate& lr);
  void step_rmsprop(const std::vector<torch::Tensor>& gradients, const Rate& lr);
  void step_sgd(const std::vector<torch::Tensor>& gradients, const Rate& lr);
  // parameters ← parameters − lr·directions
  void descend(const std::vector<torch::Tensor>& directions, const Rate& lr);

  OptimizerOptions options_;
  std::vector<std::string> names_;
  std::vector<torch::Tensor> parameters_;
  std::map<std::string, std::vector<torch::Tensor>> slots_;  // by slot name, one tensor per parameter
};

}  // namespace sgan
