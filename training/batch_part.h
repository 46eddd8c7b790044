#pragma once

#include <torch/types.h>

namespace sgan {

// Which of the equal parts of every batch is this process's: all of it where one process trains.
struct BatchPart {
  int64_t index = 0;
  int64_t count = 1;

  // Of values of a batch, (N, …): N must be a multiple of count.
  torch::Tensor of(const torch::Tensor& whole) const {
    if (count == 1) return whole;
    const auto size = whole.size(0) / count;
    return whole.narrow(0, index * size, size);
  }
};

}  // namespace sgan
