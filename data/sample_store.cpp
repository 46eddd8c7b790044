#include "data/sample_store.h"

#include <cstring>

#include <c10/util/accumulate.h>
#include <fmt/format.h>

#include "data/memory.h"

namespace sgan {
namespace {

class MemoryStore : public SampleStore {
 public:
  explicit MemoryStore(const std::vector<int64_t>& shape)
      : samples_(torch::empty(shape, torch::kUInt8)), data_(samples_.data_ptr<uint8_t>()), bytes_(samples_.stride(0)) {}

  void put(int64_t i, const Fill& fill) override { fill(data_ + i * bytes_); }

  void keep(std::span<const int64_t> indices) override {
    int64_t kept = 0;
    for (const int64_t i : indices) {
      if (kept != i) std::memcpy(data_ + kept * bytes_, data_ + i * bytes_, static_cast<size_t>(bytes_));
      ++kept;
    }
    samples_ = samples_.narrow(0, 0, kept);
  }

  torch::Tensor samples() override { return samples_; }

 private:
  torch::Tensor samples_;
  uint8_t* data_;
  int64_t bytes_;  // of an image
};

}  // namespace

std::string images_of_shape(const std::vector<int64_t>& shape) {
  return fmt::format("{} images of {}x{}x{}", shape[0], shape[1], shape[3], shape[2]);
}

std::shared_ptr<SampleStore> store_in_memory(const std::vector<int64_t>& shape) {
  require_memory(c10::multiply_integers(shape), images_of_shape(shape),
                 "Set data.memory to stream, which reads them from data.cache as they are needed, or use fewer or "
                 "smaller images.");
  return std::make_shared<MemoryStore>(shape);
}

}  // namespace sgan
