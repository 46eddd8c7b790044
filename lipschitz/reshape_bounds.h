#pragma once

#include <torch/types.h>

#include "lipschitz/convolution.h"

namespace sgan {

// (out, in, k, k) → (out, in·s², q, q), q = ⌈k/s⌉: the convolution with stride s as one of stride 1 on the input's s²
// phases as channels (space to depth), taps past the kernel being zero.
torch::Tensor polyphase_kernel(const torch::Tensor& weight, int64_t stride);

// Whether σ(R), the norm of the weight reshaped to (outputs, everything else), is at most the operator's norm: some
// output must read all taps inside the input, for then R's transpose is the adjoint on that output alone.
bool reshaped_sigma_is_lower_bound(const OperatorGeometry& geometry);

// σ(R)·√(outputs that read one input, at most ⌈k/s⌉²) ≥ ‖T‖: ‖Tx‖² ≤ σ(R)² Σ_j ‖window j of x‖².
double overlap_bound(const Convolution& convolution);

// q·min σ over the four reshapes of the polyphase kernel (Singla & Feizi 2021, there for stride 1): the symbol
// Σ W_a e^{iω·a} is each of the reshapes between two vectors of phases of lengths with product q.
double four_reshapes_bound(const Convolution& convolution);

}  // namespace sgan
