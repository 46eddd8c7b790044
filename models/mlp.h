#pragma once

#include "models/network.h"

namespace sgan {

// Fully connected networks of `depth` hidden layers of `channels` units, for points in the plane or small images.
// generator: (N, latent) → (N, sample_shape…), ReLU, tanh at the end for images; discriminator: samples → (N), leaky
// ReLU. Layers are named linear0 … linear<depth>, norms norm0 … norm<depth-1>.
Network make_mlp_generator(const GeneratorOptions& options, const SpectralOptions& spectral,
                           const std::vector<int64_t>& sample_shape);
Network make_mlp_discriminator(const DiscriminatorOptions& options, const SpectralOptions& spectral,
                               const std::vector<int64_t>& sample_shape);

}  // namespace sgan
