#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "training/state.h"
#include "training/step.h"

namespace sgan {

// The weights of one layer that are rounded or normalized by the largest of them, as they are trained.
struct LayerTails {
  std::string layer;
  double kurtosis = 0;      // of all the layer's weights; a normal distribution has 3
  double max_over_std = 0;  // largest magnitude over their standard deviation
  // Shares since the last log point, NaN where nothing was counted: of the updates in which a step along the negative
  // gradient would shrink the largest weight (by output channel: the mean over the channels), and of all weights the
  // same, which is what the former is to be compared with.
  double max_towards_zero = 0;
  double all_towards_zero = 0;
};

struct TailReport {
  int64_t updates = 0;  // counted since the last log point
  std::vector<LayerTails> layers;
};

// Counts, over the updates it is shown, whether gradients of weights point towards zero: "the element of largest
// magnitude gets a gradient that moves it towards zero" is what WNQ's authors say of it. It waits for no device. The
// counts lie in the training state, so that a resumed run reports the same.
class WeightTails : public StepObserver {
 public:
  WeightTails(TrainingState& state, const Config& config);

  void see(const std::string& name, const torch::Tensor& value) override;

  // What was counted since the last call, and the present weights; nothing for a network without a quantizer.
  std::optional<TailReport> take_generator();
  std::optional<TailReport> take_discriminator();

 private:
  struct Watched {
    torch::Tensor weight;  // shares memory with the parameter
    torch::Tensor counts;  // its row of the state's
    int64_t output_dim;
  };
  void watch(const std::string& prefix, const NetworkImpl& network, const torch::Tensor& counts);
  std::optional<TailReport> take(const NetworkImpl& network, torch::Tensor& counts) const;

  TrainingState& state_;
  QuantizerGroup per_;
  std::unordered_map<std::string, Watched> watched_;  // by what the observer is shown
};

}  // namespace sgan
