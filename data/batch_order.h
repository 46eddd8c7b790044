#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <torch/types.h>

namespace sgan {

// Which samples each update sees: update k takes positions k * batch, ..., (k + 1) * batch - 1 of an endless sequence
// of permutations of all samples, one per epoch. The order depends on the seed alone, so any update can be asked for at
// any time. Not for use by several threads at once.
class BatchOrder {
 public:
  // Throws UserError if a batch is larger than the data.
  BatchOrder(int64_t samples, int64_t batch, uint64_t seed);

  torch::Tensor indices(int64_t update);  // (batch) int64

 private:
  struct Epoch {
    int64_t number = -1;
    std::vector<uint32_t> order;  // half the memory of int64_t, which counts for millions of samples
  };

  const std::vector<uint32_t>& order(int64_t epoch);

  int64_t samples_;
  int64_t batch_;
  uint64_t seed_;
  std::array<Epoch, 2> cache_;  // a batch spans two epochs at most
};

}  // namespace sgan
