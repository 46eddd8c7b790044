#include "data/sample_file.h"

#include <span>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <c10/util/accumulate.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/error.h"
#include "run/sha256.h"

namespace sgan {

SampleFile::SampleFile(FileDescriptor file, std::vector<int64_t> shape, uint64_t begin)
    : file_(std::move(file)),
      shape_(std::move(shape)),
      begin_(begin),
      image_bytes_(static_cast<uint64_t>(c10::multiply_integers(shape_.begin() + 1, shape_.end()))) {
  // Batches are drawn from all over the file: what lies beside an image is not worth reading.
  ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_RANDOM);
}

void SampleFile::fail(const std::string& what) const {
  throw UserError(
      fmt::format("{}. The images are streamed from this file. Look after the disk, or delete the file, and go on: "
                  "without it the images are decoded anew.",
                  what));
}

void SampleFile::read_image(int64_t i, uint8_t* out) const {
  uint64_t got = 0;
  try {
    got = file_.read_at(out, image_bytes_, offset(i));
  } catch (const UserError& error) {
    fail(error.what());
  }
  if (got != image_bytes_) fail(fmt::format("{} was cut short while it was in use: image {} is gone", name(), i));
}

torch::Tensor SampleFile::gather(const torch::Tensor& indices, bool pinned) const {
  TORCH_CHECK(indices.dim() == 1 && indices.scalar_type() == torch::kInt64, "indices have sizes ", indices.sizes());
  std::vector<int64_t> shape = shape_;
  shape[0] = indices.size(0);
  torch::Tensor images = torch::empty(shape, torch::TensorOptions(torch::kUInt8).pinned_memory(pinned));
  const auto contiguous = indices.contiguous();
  const std::span<const int64_t> wanted(contiguous.const_data_ptr<int64_t>(), static_cast<size_t>(shape[0]));
  // So that the disk has all of them to read at once, and not one after the other.
  for (const int64_t i : wanted) {
    TORCH_CHECK_INDEX(i >= 0 && i < shape_[0], "index ", i, " of ", shape_[0], " images");
    ::posix_fadvise(file_.get(), static_cast<off_t>(offset(i)), static_cast<off_t>(image_bytes_), POSIX_FADV_WILLNEED);
  }
  auto* out = images.mutable_data_ptr<uint8_t>();
  for (const int64_t i : wanted) {
    read_image(i, out);
    out += image_bytes_;
  }
  return images;
}

void SampleFile::read_all(const std::function<void(std::string_view block)>& take) const {
  ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  const uint64_t end = offset(shape_[0]);
  uint64_t read = begin_;
  file_.read_blocks(begin_, end, [&](std::string_view block) {
    read += block.size();
    take(block);
  });
  ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_RANDOM);
  if (read != end) fail(fmt::format("{} was cut short while it was in use", name()));
}

void release_samples(const Dataset& dataset) {
  if (!dataset.file) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(dataset.samples.const_data_ptr());
  const uintptr_t begin = first / page * page;
  ::madvise(reinterpret_cast<void*>(begin), first - begin + dataset.samples.nbytes(), MADV_DONTNEED);
}

torch::Tensor stored_samples(const Dataset& dataset, const torch::Tensor& indices, bool pinned) {
  if (dataset.file) return dataset.file->gather(indices, pinned);
  if (!pinned) return dataset.samples.index_select(0, indices);
  torch::NoGradGuard no_grad;
  std::vector<int64_t> shape = dataset.samples.sizes().vec();
  shape[0] = indices.size(0);
  torch::Tensor batch = torch::empty(shape, dataset.samples.options().pinned_memory(true));
  return torch::index_select_out(batch, dataset.samples, 0, indices);
}

std::string hash_samples(const Dataset& dataset, const LoadProgress& progress) {
  Sha256 digest;
  digest.update(
      fmt::format("{} {}", torch::toString(dataset.samples.scalar_type()), fmt::join(dataset.samples.sizes(), " ")));
  if (!dataset.file) {
    const torch::Tensor samples = dataset.samples.contiguous();
    digest.update({static_cast<const char*>(samples.const_data_ptr()), samples.nbytes()});
    return digest.hex();
  }
  const auto image_bytes = static_cast<int64_t>(dataset.samples.nbytes()) / dataset.size();
  int64_t done = 0;  // bytes
  dataset.file->read_all([&](std::string_view block) {
    digest.update(block);
    done += std::ssize(block);
    if (progress) progress(done / image_bytes, dataset.size());
  });
  return digest.hex();
}

}  // namespace sgan
