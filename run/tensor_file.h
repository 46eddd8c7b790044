#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "run/file_descriptor.h"
#include "run/safetensors.h"

namespace sgan {

// A file's content is not what was written there: damaged, cut short, or of another program. (Where the system cannot
// read a file at all, that is a FileError, and the content may be good.)
class DamagedFileError : public UserError {
 public:
  using UserError::UserError;
};

struct TensorFile {
  std::map<std::string, torch::Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

// Writes a safetensors file, whole or not at all. Tensors of any device and layout are stored contiguous. The metadata
// `format_version` and `sha256` are added; the digest covers the header, with its own 64 characters as '0', and the
// data.
void save_tensors(const std::filesystem::path& path, const TensorFile& file);

// Reads a safetensors file onto the CPU. A file that save_tensors wrote is checked against its digest; those of other
// programs carry none. Throws a DamagedFileError for a file that is cut short, damaged or not of this format.
TensorFile load_tensors(const std::filesystem::path& path);

// Checks a whole file that save_tensors wrote, in memory, against its digest. Throws a UserError, which begins with
// what is wrong and names no file, if it is damaged or has none.
void verify_tensors(std::string_view file);

// Told now and then how many of a file's bytes are read.
using ByteProgress = std::function<void(uint64_t done, uint64_t total)>;

// The same for a file on disk, open at its start, which is read once with memory for a block of it.
void verify_tensors(FileDescriptor& file, const ByteProgress& progress);

// Completes a file whose first tensor, too large for memory, lies in it already, from byte `data_begin` on: puts `rest`
// behind it and the header, padded with spaces, in front. first.begin is 0. Reads all once for the digest.
void complete_tensors(FileDescriptor& file, uint64_t data_begin, const TensorEntry& first, const TensorFile& rest,
                      const ByteProgress& progress);

// The metadata alone, without reading the data or checking the digest.
std::map<std::string, std::string> load_metadata(const std::filesystem::path& path);

}  // namespace sgan
