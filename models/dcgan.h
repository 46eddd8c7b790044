#pragma once

#include "models/network.h"

namespace sgan {

// DCGAN (Radford et al. 2016) for square images of M·2^k pixels, M from 4 to 7, k ≥ 1, any number of channels.
// generator (N, latent) → (N, C, S, S) in [-1, 1]: deconv0 makes M×M, then k transposed 4×4 convolutions of stride 2
//   halve the width from channels·2^(k−1) down to channels; norm and ReLU between, tanh at the end.
// discriminator (N, C, S, S) → (N): k 4×4 convolutions of stride 2, widths channels, 2·channels, …, leaky ReLU 0.2,
//   norm after each but the first; a valid M×M convolution makes the number.
// Widths stop growing at 8·channels. Layers conv0 …, deconv0 …; norms norm0 … bear the number of their layer.
Network make_dcgan_generator(const GeneratorOptions& options, const SpectralOptions& spectral,
                             const std::vector<int64_t>& sample_shape);
Network make_dcgan_discriminator(const DiscriminatorOptions& options, const SpectralOptions& spectral,
                                 const std::vector<int64_t>& sample_shape);

}  // namespace sgan
