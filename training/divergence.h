#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "configs/error.h"
#include "training/optimizer.h"

namespace sgan {

// A loss or a tensor of the state is no longer finite.
class DivergenceError : public UserError {
 public:
  DivergenceError(const std::string& message, int64_t step) : UserError(message), step_(step) {}

  // The first step, counted from 1, at which it was seen.
  int64_t step() const { return step_; }

 private:
  int64_t step_;
};

// The name of the first tensor with NaN or infinity, if there is one. Waits for the device once where all is well.
std::optional<std::string> first_not_finite(const NamedTensors& tensors);

// Before a state is saved as that of a step. Errors: DivergenceError that names the first tensor with NaN or infinity.
void require_finite(const NamedTensors& tensors, int64_t step);

// Remembers on the device the first step with a loss that is not finite, so that a loop need not wait for each step's.
class FiniteFlag {
 public:
  explicit FiniteFlag(torch::Device device);

  // losses: scalars of this step by name; undefined ones count as finite. On a CPU, where reading costs nothing, it
  // throws at once. Steps are given in order.
  void record(int64_t step, const std::vector<std::pair<const char*, torch::Tensor>>& losses);

  // Waits for the device. Errors: DivergenceError with the first step recorded.
  void check() const;

 private:
  torch::Tensor first_;  // int64; above every step while all is well
};

}  // namespace sgan
