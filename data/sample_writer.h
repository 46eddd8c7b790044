#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "data/sample_file.h"
#include "data/sample_store.h"
#include "run/atomic_file.h"
#include "run/tensor_file.h"

namespace sgan {

// A safetensors file whose tensor "samples" is put there image by image, as they are decoded, for data sets that memory
// does not take. It appears when it is whole.
class SampleWriter : public SampleStore {
 public:
  // Throws UserError if `target` cannot be written or the disk has too little space for images of this shape.
  SampleWriter(const std::filesystem::path& target, const std::vector<int64_t>& shape);

  void put(int64_t i, const Fill& fill) override;
  void keep(std::span<const int64_t> indices) override;
  // They map the file: whoever reads them brings them into memory.
  torch::Tensor samples() override;
  // The same file, to be read from. Not before the images are there and kept.
  std::shared_ptr<const SampleFile> file();

  // Adds the other tensors and the metadata, and lets the file appear.
  void commit(const TensorFile& rest, const LoadProgress& progress);

 private:
  uint64_t offset(int64_t i) const;

  std::filesystem::path target_;
  std::vector<int64_t> shape_;
  uint64_t image_bytes_;
  AtomicFile output_;
};

// Tells `progress`, which must outlive the result, of a file's bytes as of `count` images.
ByteProgress in_images(const LoadProgress& progress, int64_t count);

// Throws UserError if `needed` bytes for `what` are more than the `available` ones of the disk that has `folder`.
void require_space(uint64_t needed, uint64_t available, const std::string& what, const std::filesystem::path& folder);

}  // namespace sgan
