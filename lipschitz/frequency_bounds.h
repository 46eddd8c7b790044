#pragma once

#include <torch/types.h>

#include "lipschitz/convolution.h"

namespace sgan {

// The norm of the circular convolution, stride 1, with `kernel` (out, in, q, q) on grid × grid pixels: the largest
// singular value of the symbols Σ_a W_a e^{2πi θ·a/grid} over all frequencies θ (Sedghi et al. 2019). q may exceed
// grid.
double circular_norm(const torch::Tensor& kernel, int64_t grid);

// An upper bound of circular_norm by Gram iteration: no eigenvalues, only products.
double circular_norm_by_gram_iteration(const torch::Tensor& kernel, int64_t grid, int64_t iterations);

// An N such that T is a part (some rows, some columns) of the stride-s convolution on a circle of s·N pixels,
// and of that on every larger circle. What a window sees outside of the image must be zeros, so s·N ≥ n + min(p, k −
// 1); on a smaller circle, of n pixels say, windows reach round into the image, and the circular norm may be less than
// ‖T‖.
int64_t certified_grid(const Convolution& convolution);

// circular_norm of the polyphase kernel on certified_grid: an upper bound of ‖T‖.
double polyphase_bound(const Convolution& convolution);
double polyphase_gram_bound(const Convolution& convolution, int64_t iterations);

// The same for the convolution with stride 1, of which T is some rows: looser and dearer if the stride is larger.
double stride_free_bound(const Convolution& convolution);

}  // namespace sgan
