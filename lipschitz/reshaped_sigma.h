#pragma once

#include <torch/types.h>

namespace sgan {

// σ(R): the largest singular value of a weight reshaped to (outputs, everything else), exact to rounding: the root of
// the largest eigenvalue of the smaller Gram matrix, in float64. A scalar on the weight's device. For a convolution
// this is not the operator's norm.
torch::Tensor reshaped_sigma(const torch::Tensor& weight, int64_t output_dim);

}  // namespace sgan
