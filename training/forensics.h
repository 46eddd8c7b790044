#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "training/state.h"

namespace sgan {

// What one tensor of an update was like. Norms in float64, over its finite elements alone.
struct TensorFacts {
  std::string name;
  std::vector<int64_t> shape;
  double norm = 0;
  double largest = 0;      // magnitude
  int64_t not_finite = 0;  // elements
};

// How a run diverged, as found by doing its steps again.
struct Forensics {
  bool reproduced = false;  // a tensor was not finite; else nothing below `from_step` is known
  int64_t from_step = 0;    // that the steps were done again from
  int64_t step = 0;         // counted from 1, the one being made
  std::string update;       // "discriminator" or "generator": whose
  int64_t update_number = 0;
  std::string first;      // the first tensor that was not finite, by name
  std::string operation;  // LibTorch's, whose result `first` has its NaN or infinity from; "" if given or unknown
  std::optional<int64_t> sample;     // which of a batch, where `first` is a batch
  std::vector<TensorFacts> tensors;  // all the update computed, in order; then what else it left that was not finite
  std::vector<TensorFacts> before;   // the state before it
  std::map<std::string, torch::Tensor> inputs;  // the update's batch on the CPU: "real", "latent", "penalty_noise.0" …
};

// Does a run's steps again from `state`, one operation at a time, until a loss or a tensor of the state is not finite
// or `until_step` is done. That may be before the run noticed, which looks at its state where it saves it alone.
// on_step is told each step done; returns false to give up, and the result is then not reproduced. The state ends
// before the update that diverged.
Forensics find_divergence(const Config& config, TrainingState& state, const Dataset& dataset, torch::Device device,
                          int64_t until_step, const std::function<bool(int64_t step)>& on_step);

}  // namespace sgan
