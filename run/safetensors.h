#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sgan {

// The header of a safetensors file (https://huggingface.co/docs/safetensors): 8 bytes little-endian header length, the
// JSON header, then the tensors' bytes.

struct TensorEntry {
  std::string name;
  std::string dtype;           // as the format spells it: "F32", "BF16", …
  std::vector<int64_t> shape;  // empty for a scalar
  uint64_t begin = 0;          // byte offsets into the data that follows the header
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // in the order of their bytes
  std::map<std::string, std::string> metadata;
};

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the format's reference implementation

// Bytes of one element; 0 for a dtype that the format does not know.
uint64_t dtype_bytes(std::string_view dtype);

// Reads a header that is not to be trusted. `data_bytes` is the length of what follows it in the file. Whatever is
// returned is consistent: known dtypes, shapes that fit their bytes, and bytes without holes, overlaps or remainder.
// Throws a UserError that says what is wrong.
SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_bytes);

// The JSON text, padded with spaces to a multiple of 8 bytes so that the data is aligned; metadata comes first.
std::string serialize_safetensors_header(const SafetensorsHeader& header);

}  // namespace sgan
