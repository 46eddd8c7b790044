#pragma once

#include "models/network.h"

namespace sgan {

// The CNN of spectral normalization's paper (Miyato et al. 2018, table 3) for square images of 8·M pixels, M ≥ 2; the
// paper has 32 (M = 4) and 48 (M = 6). channels = 64 gives the published widths. Every layer has a bias.
// generator (N, latent) → (N, C, S, S) in [-1, 1]: linear0 makes M×M with 8·channels, then three transposed 4×4
//   convolutions of stride 2 (deconv1 … deconv3, widths 4, 2, 1 times channels), each with norm and ReLU; conv4, 3×3,
//   and tanh.
// discriminator (N, C, S, S) → (N): conv0 … conv6, in turn 3×3 and 4×4 of stride 2, ending with a 3×3, with leaky
//   ReLU 0.1, norm after each but the first; linear7.
//
// There are two layouts. The paper's: widths 1, 1, 2, 2, 4, 4, 8 times channels, so that a halving keeps the width; no
// norm between linear0 and deconv1. The public one, of pytorch-gan-collections and others: widths 1, 2, 2, 4, 4, 8, 8,
// so that a halving doubles the width; norm0 and ReLU after linear0.
Network make_sn_cnn_generator(const GeneratorOptions& options, const SpectralOptions& spectral,
                              const std::vector<int64_t>& sample_shape);
Network make_sn_cnn_discriminator(const DiscriminatorOptions& options, const SpectralOptions& spectral,
                                  const std::vector<int64_t>& sample_shape);
Network make_sn_cnn_public_generator(const GeneratorOptions& options, const SpectralOptions& spectral,
                                     const std::vector<int64_t>& sample_shape);
Network make_sn_cnn_public_discriminator(const DiscriminatorOptions& options, const SpectralOptions& spectral,
                                         const std::vector<int64_t>& sample_shape);

}  // namespace sgan
