#pragma once

#include <torch/types.h>

namespace sgan {

// σ ≤ ‖G_t‖_F^(2^−t) with G_0 = A, G_{t+1} = GᴴG, kept in logarithms (Delattre et al. 2023). matrices: (N, r, c), real
// or complex, float64 → (N). The bound exceeds the largest singular value by a factor of at most rank^(2^−(t+1)).
torch::Tensor gram_iteration_bound(const torch::Tensor& matrices, int64_t iterations);

}  // namespace sgan
