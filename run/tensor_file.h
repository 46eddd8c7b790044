#pragma once

#include <torch/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace sgan {

struct TensorFile {
  std::map<std::string, torch::Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

// Writes a safetensors file, whole or not at all. Tensors of any device and layout are stored contiguous. The metadata
// `format_version` and `sha256` are added; the digest covers the header, with its own 64 characters as '0', and the
// data.
void save_tensors(const std::filesystem::path& path, const TensorFile& file);

// Reads a safetensors file onto the CPU. A file that save_tensors wrote is checked against its digest; those of other
// programs carry none. Throws a UserError for a file that is cut short, damaged or not of this format.
TensorFile load_tensors(const std::filesystem::path& path);

// Checks a whole file that save_tensors wrote, in memory, against its digest. Throws a UserError, which begins with
// what is wrong and names no file, if it is damaged or has none.
void verify_tensors(std::string_view file);

// The metadata alone, without reading the data or checking the digest.
std::map<std::string, std::string> load_metadata(const std::filesystem::path& path);

}  // namespace sgan
