#include "data/sample_writer.h"

#include <string_view>
#include <utility>

#include <fcntl.h>

#include <c10/util/accumulate.h>
#include <fmt/format.h>

#include "configs/error.h"
#include "data/file_bytes.h"

namespace sgan {
namespace {

// Room for the header, which is known last: the longest path, twice and each byte escaped, and a few numbers. A
// multiple of every machine's page size.
constexpr uint64_t kDataBegin = uint64_t{1} << 16;

uint64_t free_space(const std::filesystem::path& folder) {
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  return error ? UINT64_MAX : space.available;
}

}  // namespace

void require_space(uint64_t needed, uint64_t available, const std::string& what, const std::filesystem::path& folder) {
  constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
  if (needed <= available) return;
  throw UserError(fmt::format(
      "{} need {:.1f} GiB of disk in {}, which has {:.1f} GiB free. Free some space there, or set data.cache to a "
      "folder on another disk.",
      what, static_cast<double>(needed) / kGiB, folder.string(), static_cast<double>(available) / kGiB));
}

ByteProgress in_images(const LoadProgress& progress, int64_t count) {
  if (!progress) return {};
  return [&progress, count](uint64_t done, uint64_t total) {
    const double share = static_cast<double>(done) / static_cast<double>(total);
    progress(static_cast<int64_t>(share * static_cast<double>(count)), count);
  };
}

SampleWriter::SampleWriter(const std::filesystem::path& target, const std::vector<int64_t>& shape)
    : target_(target),
      shape_(shape),
      image_bytes_(static_cast<uint64_t>(c10::multiply_integers(shape.begin() + 1, shape.end()))),
      output_(target) {
  const auto folder = target.parent_path();
  require_space(offset(shape[0]), free_space(folder), images_of_shape(shape), folder);
  output_.file().truncate(offset(shape[0]));
}

uint64_t SampleWriter::offset(int64_t i) const {
  return kDataBegin + static_cast<uint64_t>(i) * image_bytes_;
}

void SampleWriter::put(int64_t i, const Fill& fill) {
  thread_local std::vector<uint8_t> image;
  image.resize(image_bytes_);
  fill(image.data());
  output_.file().write_at({reinterpret_cast<const char*>(image.data()), image_bytes_}, offset(i));
}

void SampleWriter::keep(std::span<const int64_t> indices) {
  std::string image(image_bytes_, '\0');
  int64_t kept = 0;
  for (const int64_t i : indices) {
    if (kept != i) {
      output_.file().read_at(image.data(), image_bytes_, offset(i));
      output_.file().write_at(image, offset(kept));
    }
    ++kept;
  }
  shape_[0] = kept;
  output_.file().truncate(offset(kept));
}

torch::Tensor SampleWriter::samples() {
  const FileBytes mapped = map_file(output_.file());
  auto* first = const_cast<uint8_t*>(mapped.bytes.data()) + kDataBegin;
  return torch::from_blob(
      first, shape_, [owner = mapped.owner](void*) {}, torch::kUInt8);
}

std::shared_ptr<const SampleFile> SampleWriter::file() {
  return std::make_shared<SampleFile>(FileDescriptor(output_.temporary(), O_RDONLY, target_), shape_, kDataBegin);
}

void SampleWriter::commit(const TensorFile& rest, const LoadProgress& progress) {
  const TensorEntry samples{"samples", "U8", shape_, 0, offset(shape_[0]) - kDataBegin};
  complete_tensors(output_.file(), kDataBegin, samples, rest, in_images(progress, shape_[0]));
  output_.commit();
}

}  // namespace sgan
