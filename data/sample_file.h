#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <torch/types.h>

#include "data/dataset.h"
#include "run/file_descriptor.h"

namespace sgan {

// Images of one shape, uint8, one after another in a file, from which they are read as they are asked for. Nothing of
// them stays in the process's memory; what stays in the system's cache of files it takes back when it needs the room.
class SampleFile {
 public:
  // file: open for reading; shape: {N, C, H, W}; begin: the first image's first byte.
  SampleFile(FileDescriptor file, std::vector<int64_t> shape, uint64_t begin);

  // The images at `indices`, (n) int64 on the CPU: uint8 (n, C, H, W), in pinned memory if wanted. For several threads
  // at once. Throws UserError, with the file's name, if the disk fails or the file was cut short.
  torch::Tensor gather(const torch::Tensor& indices, bool pinned = false) const;

  // Hands over the bytes of all images in their order, at most 1 MiB at a time. Throws as gather() does.
  void read_all(const std::function<void(std::string_view block)>& take) const;

  std::string name() const { return file_.path().string(); }

 private:
  void read_image(int64_t i, uint8_t* out) const;
  uint64_t offset(int64_t i) const { return begin_ + static_cast<uint64_t>(i) * image_bytes_; }
  [[noreturn]] void fail(const std::string& what) const;

  FileDescriptor file_;
  std::vector<int64_t> shape_;
  uint64_t begin_;
  uint64_t image_bytes_;
};

// The samples at `indices`, (n) int64 on the CPU, as they are stored, from the file where the data set has one. pinned:
// in memory from which copies to a GPU do not block.
torch::Tensor stored_samples(const Dataset& dataset, const torch::Tensor& indices, bool pinned = false);

// Takes the pages of the file that reading `samples` has brought into memory out of it again, where they are streamed.
void release_samples(const Dataset& dataset);

// fingerprint() of samples that bring no content_hash. progress: told how many of the samples are read.
std::string hash_samples(const Dataset& dataset, const LoadProgress& progress = {});

}  // namespace sgan
