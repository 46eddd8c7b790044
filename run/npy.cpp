#include "run/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <cstdint>
#include <limits>
#include <string_view>

#include "configs/error.h"
#include "run/atomic_file.h"

namespace sgan {
namespace {

std::string_view descriptor(torch::ScalarType type) {
  switch (type) {
    case torch::kUInt8:
      return "|u1";
    case torch::kInt64:
      return "<i8";
    case torch::kFloat32:
      return "<f4";
    case torch::kFloat64:
      return "<f8";
    default:
      TORCH_CHECK(false, "npy files here hold uint8, int64, float32 or float64, got ", type);
  }
}

// Appends the low bytes of a number, least significant first.
template <class Number>
void append(std::string& to, Number number) {
  for (size_t i = 0; i < sizeof(Number); ++i) to += static_cast<char>((number >> (8 * i)) & 0xFF);
}

// What the zip format says of a stored member, in its own header and in the archive's directory.
struct Member {
  std::string name;
  uint32_t checksum;
  uint32_t size;
  uint32_t offset;
};

void append_member_fields(std::string& to, const Member& member) {
  constexpr uint16_t kVersion = 20;
  constexpr uint16_t kStored = 0;
  constexpr uint32_t kJanuary1980 = 0x00210000;  // the format's first day: the same tensors give the same bytes
  append(to, kVersion);
  append(to, uint16_t{0});
  append(to, kStored);
  append(to, kJanuary1980);
  append(to, member.checksum);
  append(to, member.size);
  append(to, member.size);
  append(to, static_cast<uint16_t>(member.name.size()));
  append(to, uint16_t{0});
}

}  // namespace

std::string npy_bytes(const torch::Tensor& tensor) {
  constexpr size_t kPrelude = 10;  // magic number, version and length of the header
  constexpr size_t kAlignment = 64;
  const auto values = tensor.detach().cpu().contiguous();
  const auto& sizes = values.sizes();
  const std::string shape =
      sizes.size() == 1 ? fmt::format("({},)", sizes[0]) : fmt::format("({})", fmt::join(sizes, ", "));
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", descriptor(values.scalar_type()), shape);
  header.resize((kPrelude + header.size() + 1 + kAlignment - 1) / kAlignment * kAlignment - kPrelude - 1, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  append(bytes, static_cast<uint16_t>(header.size()));
  bytes += header;
  bytes.append(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
  return bytes;
}

void write_npy(const std::filesystem::path& path, const torch::Tensor& tensor) {
  write_file_atomically(path, npy_bytes(tensor));
}

void write_npz(const std::filesystem::path& path, const std::map<std::string, torch::Tensor>& tensors) {
  std::string archive;
  std::string directory;
  for (const auto& [name, tensor] : tensors) {
    const auto bytes = npy_bytes(tensor);
    if (archive.size() + bytes.size() > std::numeric_limits<uint32_t>::max()) {
      throw UserError(fmt::format(
          "{}: an .npz file above 4 GiB would need another format. Dump fewer or smaller features.", path.string()));
    }
    const auto checksum = crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    const Member member{name + ".npy", static_cast<uint32_t>(checksum), static_cast<uint32_t>(bytes.size()),
                        static_cast<uint32_t>(archive.size())};
    append(archive, uint32_t{0x04034b50});
    append_member_fields(archive, member);
    archive += member.name + bytes;

    append(directory, uint32_t{0x02014b50});
    append(directory, uint16_t{20});
    append_member_fields(directory, member);
    directory.append(10, '\0');  // no comment, first disk, no attributes
    append(directory, member.offset);
    directory += member.name;
  }
  const auto begin = static_cast<uint32_t>(archive.size());
  archive += directory;
  append(archive, uint32_t{0x06054b50});
  append(archive, uint32_t{0});  // this disk and the directory's
  append(archive, static_cast<uint16_t>(tensors.size()));
  append(archive, static_cast<uint16_t>(tensors.size()));
  append(archive, static_cast<uint32_t>(directory.size()));
  append(archive, begin);
  append(archive, uint16_t{0});
  write_file_atomically(path, archive);
}

}  // namespace sgan
