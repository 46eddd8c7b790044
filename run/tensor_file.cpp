#include "run/tensor_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "configs/error.h"
#include "run/atomic_file.h"
#include "run/sha256.h"

namespace sgan {
namespace {

static_assert(std::endian::native == std::endian::little, "the format stores little-endian numbers");

constexpr std::string_view kFormatVersion = "1";
constexpr std::string_view kDigestKey = "\"sha256\":\"";  // a quote inside a JSON string is escaped: no text matches it
constexpr size_t kDigestLength = 64;
constexpr uint64_t kLengthBytes = 8;
constexpr const char* kTooShort = "it is too short for a safetensors file";

constexpr auto kDtypes = std::to_array<std::pair<std::string_view, torch::ScalarType>>({
    {"F64", torch::kFloat64},
    {"F32", torch::kFloat32},
    {"F16", torch::kFloat16},
    {"BF16", torch::kBFloat16},
    {"I64", torch::kInt64},
    {"I32", torch::kInt32},
    {"I16", torch::kInt16},
    {"I8", torch::kInt8},
    {"U8", torch::kUInt8},
    {"BOOL", torch::kBool},
});

std::string dtype_name(torch::ScalarType type) {
  for (const auto& [name, value] : kDtypes) {
    if (value == type) return std::string(name);
  }
  TORCH_CHECK(false, "safetensors cannot hold tensors of type ", type);
}

torch::ScalarType scalar_type(const TensorEntry& entry) {
  for (const auto& [name, value] : kDtypes) {
    if (name == entry.dtype) return value;
  }
  throw UserError(
      fmt::format("tensor '{}' has the dtype {}, which this program does not read", entry.name, entry.dtype));
}

std::string_view bytes_of(const torch::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

DamagedFileError damaged(const std::string& why) {
  return DamagedFileError(fmt::format("is damaged: {}. Use a copy or another checkpoint of the run.", why));
}

// Runs `read` and puts the file's name in front of what it complains about.
template <class Read>
auto naming(const std::filesystem::path& path, Read read) {
  try {
    return read();
  } catch (const FileError&) {
    throw;  // it has the name
  } catch (const DamagedFileError& error) {
    throw DamagedFileError(fmt::format("{} {}", path.string(), error.what()));
  } catch (const UserError& error) {
    throw UserError(fmt::format("{} {}", path.string(), error.what()), error.kind());
  }
}

struct RawHeader {
  std::string text;
  SafetensorsHeader parsed;
};

// The length of the header of a file with `size` bytes, whose first ones are `length`.
uint64_t header_length(uint64_t length, uint64_t size) {
  if (length > size - kLengthBytes) {
    throw damaged(fmt::format("its header should have {} bytes, the whole file has {}", length, size));
  }
  if (length > kMaxHeaderBytes) throw damaged(fmt::format("its header claims {} bytes", length));
  return length;
}

RawHeader parse_header(std::string text, uint64_t data_bytes) {
  try {
    RawHeader header{std::move(text), {}};
    header.parsed = parse_safetensors_header(header.text, data_bytes);
    return header;
  } catch (const UserError& error) {
    throw damaged(error.what());
  }
}

// Leaves the file at the first byte of the data.
RawHeader read_header(FileDescriptor& file) {
  const uint64_t size = file.size();
  uint64_t length = 0;
  if (file.read(&length, kLengthBytes) != kLengthBytes) throw damaged(kTooShort);
  std::string text(header_length(length, size), '\0');
  if (file.read(text.data(), length) != length) throw damaged("it is cut short");
  return parse_header(std::move(text), size - kLengthBytes - length);
}

// Takes the digest out of the header's text and leaves '0's in its place; empty for a file of another program.
std::string take_digest(RawHeader& header) {
  const auto& metadata = header.parsed.metadata;
  if (!metadata.contains("sha256") && !metadata.contains("format_version")) return "";
  const size_t key = header.text.find(kDigestKey);
  const size_t start = key + kDigestKey.size();
  if (key == std::string::npos || header.text.size() - start < kDigestLength) throw damaged("its checksum is missing");
  std::string digest = header.text.substr(start, kDigestLength);
  header.text.replace(start, kDigestLength, kDigestLength, '0');
  return digest;
}

void require_digest(Sha256& digest, const std::string& expected) {
  if (digest.hex() != expected) throw damaged("checksum mismatch, its bytes are not those that were written");
}

void check_version(const std::map<std::string, std::string>& metadata) {
  const auto version = metadata.find("format_version");
  if (version == metadata.end() || version->second == kFormatVersion) return;
  throw UserError(fmt::format("has the format version {}, this program reads {}: use the version that wrote it",
                              version->second, kFormatVersion));
}

torch::Tensor read_tensor(FileDescriptor& file, const TensorEntry& entry, Sha256& digest) {
  const torch::ScalarType type = scalar_type(entry);
  // A bool that is neither 0 nor 1 is undefined behaviour, so untrusted bytes become bools by comparison.
  const torch::ScalarType stored = type == torch::kBool ? torch::kUInt8 : type;
  torch::Tensor tensor = torch::empty(entry.shape, stored);
  const uint64_t bytes = tensor.nbytes();
  if (file.read(tensor.mutable_data_ptr(), bytes) != bytes) throw damaged("it is cut short");
  digest.update(bytes_of(tensor));
  return type == stored ? tensor : tensor.ne(0);
}

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

// The file's tensors as they are stored: on the CPU and contiguous. Wide elements first, so that each lies aligned for
// programs that map the file into memory.
NamedTensors by_width(const TensorFile& file) {
  NamedTensors tensors;
  for (const auto& [name, tensor] : file.tensors) tensors.emplace_back(name, tensor.detach().cpu().contiguous());
  std::ranges::stable_sort(tensors, std::ranges::greater(), [](const auto& entry) { return entry.second.itemsize(); });
  return tensors;
}

// Adds the tensors, one after another, behind those that the header has.
void list_tensors(const NamedTensors& tensors, SafetensorsHeader& header) {
  uint64_t offset = header.tensors.empty() ? 0 : header.tensors.back().end;
  for (const auto& [name, tensor] : tensors) {
    const uint64_t end = offset + tensor.nbytes();
    header.tensors.push_back({name, dtype_name(tensor.scalar_type()), tensor.sizes().vec(), offset, end});
    offset = end;
  }
}

// A header's text, with the metadata that every file has and '0's for the digest.
std::string text_without_digest(SafetensorsHeader header) {
  header.metadata["format_version"] = std::string(kFormatVersion);
  header.metadata["sha256"] = std::string(kDigestLength, '0');
  return serialize_safetensors_header(header);
}

void put_digest(std::string& text, Sha256& digest) {
  text.replace(text.find(kDigestKey) + kDigestKey.size(), kDigestLength, digest.hex());
}

// Adds what lies in the file from `begin` on.
void add_data(Sha256& digest, const FileDescriptor& file, uint64_t begin, const ByteProgress& progress) {
  const uint64_t size = file.size();
  uint64_t done = begin;
  file.read_blocks(begin, size, [&](std::string_view block) {
    digest.update(block);
    done += block.size();
    if (progress) progress(done, size);
  });
}

}  // namespace

void save_tensors(const std::filesystem::path& path, const TensorFile& file) {
  const auto tensors = by_width(file);
  SafetensorsHeader header{{}, file.metadata};
  list_tensors(tensors, header);
  std::string text = text_without_digest(std::move(header));
  Sha256 digest;
  digest.update(text);
  for (const auto& [name, tensor] : tensors) digest.update(bytes_of(tensor));
  put_digest(text, digest);

  const uint64_t length = text.size();
  AtomicFile output(path);
  output.write({reinterpret_cast<const char*>(&length), kLengthBytes});
  output.write(text);
  for (const auto& [name, tensor] : tensors) output.write(bytes_of(tensor));
  output.commit();
}

TensorFile load_tensors(const std::filesystem::path& path) {
  FileDescriptor input(path, O_RDONLY);
  return naming(path, [&input] {
    RawHeader header = read_header(input);
    const std::string expected = take_digest(header);
    Sha256 digest;
    digest.update(header.text);
    TensorFile file{{}, header.parsed.metadata};
    for (const TensorEntry& entry : header.parsed.tensors) file.tensors[entry.name] = read_tensor(input, entry, digest);
    if (!expected.empty()) require_digest(digest, expected);
    check_version(file.metadata);
    return file;
  });
}

void verify_tensors(std::string_view file) {
  uint64_t length = 0;
  if (file.size() < kLengthBytes) throw damaged(kTooShort);
  std::memcpy(&length, file.data(), kLengthBytes);
  const auto text = file.substr(kLengthBytes, header_length(length, file.size()));
  const auto data = file.substr(kLengthBytes + length);
  RawHeader header = parse_header(std::string(text), data.size());
  const std::string expected = take_digest(header);
  if (expected.empty()) throw damaged("its checksum is missing");
  Sha256 digest;
  digest.update(header.text);
  digest.update(data);
  require_digest(digest, expected);
}

void verify_tensors(FileDescriptor& file, const ByteProgress& progress) {
  RawHeader header = read_header(file);
  const std::string expected = take_digest(header);
  if (expected.empty()) throw damaged("its checksum is missing");
  Sha256 digest;
  digest.update(header.text);
  add_data(digest, file, kLengthBytes + header.text.size(), progress);
  require_digest(digest, expected);
}

void complete_tensors(FileDescriptor& file, uint64_t data_begin, const TensorEntry& first, const TensorFile& rest,
                      const ByteProgress& progress) {
  const auto tensors = by_width(rest);
  SafetensorsHeader header{{first}, rest.metadata};
  list_tensors(tensors, header);
  for (size_t i = 0; i < tensors.size(); ++i) {
    file.write_at(bytes_of(tensors[i].second), data_begin + header.tensors[i + 1].begin);
  }
  std::string text = text_without_digest(std::move(header));
  const uint64_t length = data_begin - kLengthBytes;
  TORCH_CHECK(text.size() <= length, "a header of ", text.size(), " bytes has room for ", length);
  text.resize(length, ' ');
  Sha256 digest;
  digest.update(text);
  add_data(digest, file, data_begin, progress);
  put_digest(text, digest);
  file.write_at({reinterpret_cast<const char*>(&length), kLengthBytes}, 0);
  file.write_at(text, kLengthBytes);
}

std::map<std::string, std::string> load_metadata(const std::filesystem::path& path) {
  FileDescriptor input(path, O_RDONLY);
  return naming(path, [&input] {
    const RawHeader header = read_header(input);
    check_version(header.parsed.metadata);
    return header.parsed.metadata;
  });
}

}  // namespace sgan
