#pragma once

#include "models/network.h"

namespace sgan {

// The residual networks of spectral normalization's paper (Miyato et al. 2018, tables 4 to 6) for 32, 48 and 128
// pixels, and the authors' for 64 (sngan_projection; the paper has none). channels = 64 gives the published widths.
// Details follow the authors' code: widths inside a block are those of the generator block's output and of the
// discriminator block's input; Glorot initialization, with gain √2 in branches; a bias everywhere, but none in the
// discriminator's last layer at 32 pixels.
//
// generator (N, latent) → (N, C, S, S) in [-1, 1]: linear0; block1 … each norm, ReLU, 2× nearest upsampling, 3×3, norm,
//   ReLU, 3×3, with a shortcut of upsampling and 1×1; norm, ReLU, 3×3 and tanh.
// discriminator (N, C, S, S) → (N): block0 is 3×3, ReLU, 3×3, 2×2 average pool with a shortcut of pool and 1×1; the
//   others ReLU, 3×3, ReLU, 3×3 (norms before the ReLUs), with a pool where they halve, and a 1×1 shortcut where they
//   halve or widen; ReLU, sum over all positions, linear.
// Layers are named block<i>.conv0, block<i>.conv1 and block<i>.shortcut.
Network make_sn_resnet_generator(const GeneratorOptions& options, const SpectralOptions& spectral,
                                 const std::vector<int64_t>& sample_shape);
Network make_sn_resnet_discriminator(const DiscriminatorOptions& options, const SpectralOptions& spectral,
                                     const std::vector<int64_t>& sample_shape);

}  // namespace sgan
