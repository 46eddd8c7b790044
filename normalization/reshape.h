#pragma once

#include <torch/types.h>

namespace sgan {

// The weight as the matrix that spectral normalization speaks of: dimension `output_dim` first, the others flattened.
torch::Tensor reshape_to_matrix(const torch::Tensor& weight, int64_t output_dim);

}  // namespace sgan
