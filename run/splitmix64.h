#pragma once

#include <cstdint>
#include <limits>

namespace sgan {

// The finalizer of SplitMix64: a one-to-one hash of 64 bits.
uint64_t mix64(uint64_t value);

// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): any seed is good, and the
// numbers are the same on every platform, with any thread count and torch version.
class SplitMix64 {
 public:
  using result_type = uint64_t;

  explicit SplitMix64(uint64_t seed) : state_(seed) {}
  // Different streams of one seed start from hashed, unrelated states.
  SplitMix64(uint64_t seed, uint64_t stream);

  static constexpr uint64_t min() { return 0; }
  static constexpr uint64_t max() { return std::numeric_limits<uint64_t>::max(); }
  uint64_t operator()();

  uint64_t below(uint64_t bound);  // uniform on 0 … bound − 1, without the bias of a plain remainder; bound ≥ 1
  double uniform();                // in (0, 1], so that its logarithm is finite
  double normal();                 // standard normal, by Box and Muller

 private:
  uint64_t state_;
};

}  // namespace sgan
