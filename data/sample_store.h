#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <torch/types.h>

namespace sgan {

// Where the images of a data set are put as they are decoded: uint8, all of one shape.
class SampleStore {
 public:
  using Fill = std::function<void(uint8_t* out)>;

  virtual ~SampleStore() = default;

  // Image i is what fill(out) writes, C·H·W bytes. For any order and several threads at once. Throws UserError if the
  // image cannot be kept.
  virtual void put(int64_t i, const Fill& fill) = 0;
  // Leaves only the images at these indices, which ascend, without gaps between them.
  virtual void keep(std::span<const int64_t> indices) = 0;
  // (N, C, H, W); what was not put is arbitrary.
  virtual torch::Tensor samples() = 0;
};

// Makes room for images of a shape, {N, C, H, W}. Throws UserError where there is too little.
using MakeStore = std::function<std::shared_ptr<SampleStore>(const std::vector<int64_t>& shape)>;

// "1000 images of 3x64x64", for errors.
std::string images_of_shape(const std::vector<int64_t>& shape);

// Room in memory.
std::shared_ptr<SampleStore> store_in_memory(const std::vector<int64_t>& shape);

}  // namespace sgan
