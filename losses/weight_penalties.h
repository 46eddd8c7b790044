#pragma once

#include <torch/types.h>

#include <vector>

namespace sgan {

// Penalties on a network's weights: sums over its layers, without their weight factor. Each matrix is a layer's
// effective weight reshaped to (outputs, everything else); for a convolution that is not the operator itself.

// ½ Σ σ(W)², the largest singular value from its exact vectors; its weight is λ (Yoshida & Miyato 2017).
torch::Tensor spectral_penalty(const std::vector<torch::Tensor>& matrices);

// Σ ‖WWᵀ ⊙ (1 − I)‖²_F: rows at right angles, of any length (Brock et al. 2019, BigGAN, at weight 1e-4). The earlier
// ‖WᵀW − I‖²_F (Brock et al. 2017) asks for length 1 too, which BigGAN found too strict.
torch::Tensor orthogonal_penalty(const std::vector<torch::Tensor>& matrices);

}  // namespace sgan
