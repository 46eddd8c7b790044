#pragma once

#include "models/network.h"

namespace sgan {

// Data-dependent initialization of a network with weight normalization (Salimans & Kingma 2016, section 3): directions
// are drawn anew, v ~ N(0, 0.05²), by `initial`, and then, layer by layer in the order of a forward pass on `batch`,
//   t = v·x/‖v‖,  g ← 1/std[t],  b ← −mean[t]/std[t]
// per output channel over samples and positions, so that every layer's outputs have mean 0 and variance 1; a layer
// without bias gets the variance alone. A channel whose t does not vary, as on dead inputs, keeps its g and b.
// batch: what the network takes, (N, …), on its device, several samples. Nothing but weights and biases changes; layers
// of other kinds keep theirs.
void initialize_from_data(NetworkImpl& network, const GeneratorFor& initial, const torch::Tensor& batch);

}  // namespace sgan
