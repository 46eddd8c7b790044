#include "exchange/input_rounding.h"

#include <torch/utils.h>

#include <cmath>

namespace sgan {

// Found out by what it does to numbers, so that no file can say other than the network computes.
InputRounding input_rounding(const ActivationQuantizerImpl& quantizer) {
  torch::NoGradGuard no_grad;
  constexpr float kFar = 1e30F;
  constexpr int64_t kFine = 1 << 16;  // more than twice the steps of any number of bits
  const auto ends = quantizer.forward(torch::tensor({-kFar, kFar}));
  const auto high = ends[1].item<float>();
  const auto values = quantizer.forward(torch::linspace(0, high, kFine));
  const auto smallest = values.masked_select(values > 0).min().item<double>();
  const double steps = std::round(high / smallest);
  // In float32, as the network divides.
  return {ends[0].item<double>(), high, static_cast<float>(high) / static_cast<float>(steps)};
}

}  // namespace sgan
