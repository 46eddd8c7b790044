#pragma once

#include <string>

#include "models/composition.h"

namespace sgan {

// What a node that is no linear map and no residual block can multiply distances by, in ℓ2.
struct NodeFactor {
  double value = 1;
  std::string method;
  bool useful = true;  // false where the value is true but says nothing, as 1/√ε of a layer norm does
};

// Activations: ReLU, leaky ReLU and tanh 1. Pooling: a w×w average 1/w, the sum over n pixels √n, nearest w×
// upsampling w. Normalization in eval mode: batch norm max|γ|/√(var + ε); layer norm max|γ|/√ε, which holds for an
// input that hardly varies and is no useful bound.
NodeFactor node_factor(const Node& node);

}  // namespace sgan
