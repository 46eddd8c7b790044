#pragma once

#include <ATen/core/Generator.h>
#include <torch/types.h>

#include <cstdint>
#include <string_view>

namespace sgan {

// Everything random in a run is drawn from generators whose seeds are hashes of (the run's seed, a stream, an index or
// name). Nothing is carried from one draw to the next: a new consumer shifts no other, and resuming restores no state.
enum class Stream {
  init_generator,
  init_discriminator,
  power,
  order,
  latent_d,
  latent_g,
  penalty,
  augment,
  sample,
  evaluate,
  probe,
  bootstrap,
  data
};

std::string_view stream_name(Stream stream);

// mix(mix(mix(FNV-1a(stream name)) + seed) + index), mix being the finalizer of SplitMix64. The stream's name is
// hashed, not its place in the enum, so adding a stream moves no other. These values are a contract: a run repeats only
// while they stay.
uint64_t stream_seed(uint64_t seed, Stream stream, uint64_t index);
// The same with index = FNV-1a(name), for what is known by name: a parameter, a layer.
uint64_t stream_seed(uint64_t seed, Stream stream, std::string_view name);

// A generator of its own on `device`, seeded with all 64 bits of `seed`.
at::Generator make_generator(uint64_t seed, torch::Device device);

}  // namespace sgan
