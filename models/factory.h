#pragma once

#include "models/network.h"

namespace sgan {

// The networks a config names, with zero weights: call initialize() or load a checkpoint next.
// sample_shape: (C, H, W) of an image or (2) of a point. Errors: UserError where the kind cannot make that shape.
Network make_generator(const Config& config, const std::vector<int64_t>& sample_shape);
Network make_discriminator(const Config& config, const std::vector<int64_t>& sample_shape);

// The same networks with plain weights in place of parametrizations and quantizers of weights, as quantized files hold
// them; inputs are rounded where the config has it so.
Network make_plain_generator(const Config& config, const std::vector<int64_t>& sample_shape);
Network make_plain_discriminator(const Config& config, const std::vector<int64_t>& sample_shape);

// Trained numbers of a network; for weight parametrizations, those that are trained, not those that are computed.
int64_t count_parameters(const NetworkImpl& network);

}  // namespace sgan
