#pragma once

#include <string>

#include "models/factory.h"
#include "run/random_streams.h"

namespace sgan {

// Draws a network's initial values as a run with that seed would.
inline void initialize(NetworkImpl& network, uint64_t seed) {
  const auto draw = [seed](Stream stream) {
    return
        [seed, stream](std::string_view name) { return make_generator(stream_seed(seed, stream, name), torch::kCPU); };
  };
  network.initialize(draw(Stream::init_generator), draw(Stream::power));
}

inline torch::Tensor draw_normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return torch::randn(shape, make_generator(seed, torch::kCPU));
}

// A shape that a kind of network can make.
inline std::vector<int64_t> small_shape(NetworkKind kind, int64_t channels = 1) {
  const int64_t size = kind == NetworkKind::sn_resnet ? 32 : 16;
  return {channels, size, size};
}

// A small config whose two networks are of one kind.
inline Config network_config(NetworkKind kind, NormKind norm, WeightKind weight) {
  Config config;
  config.generator = {.kind = kind, .latent = 6, .channels = 4, .depth = 2, .norm = norm, .weight = weight};
  config.discriminator = {.kind = kind, .channels = 4, .depth = 2, .norm = norm, .weight = weight};
  return config;
}

}  // namespace sgan
