#pragma once

#include <map>
#include <string>

#include "models/network.h"

namespace sgan {

// What a network computes with, free of how it was trained, under the names of plain PyTorch layers: `conv0.weight` is
// the effective weight (float32), and biases and norms keep their names. It loads into equal modules without any
// parametrization, and costs nothing extra there.
struct PlainNetwork {
  std::map<std::string, torch::Tensor> tensors;

  torch::Tensor& weight_of(const std::string& layer) { return tensors.at(layer + ".weight"); }
  // Undefined where the layer has none.
  torch::Tensor bias_of(const std::string& layer) const;
};

// Copies on the CPU.
PlainNetwork plain_network(const NetworkImpl& network);

// The weights for a forward pass or a bound of `network`, on whose layers they are.
EffectiveWeights weights_of(const PlainNetwork& plain, const NetworkImpl& network);

}  // namespace sgan
