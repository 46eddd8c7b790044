// The length of the data in eight bytes, little-endian, then the header's JSON.

#include <algorithm>
#include <cstring>

#include "run/safetensors.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sgan;
  uint64_t data_bytes = 0;
  if (size < sizeof(data_bytes)) return 0;
  std::memcpy(&data_bytes, data, sizeof(data_bytes));
  const std::string_view json = text_of(data + sizeof(data_bytes), size - sizeof(data_bytes));
  SafetensorsHeader header;
  if (!accepts([&] { header = parse_safetensors_header(json, data_bytes); })) return 0;

  uint64_t covered = 0;
  for (const TensorEntry& tensor : header.tensors) {
    require(tensor.begin == covered && tensor.end >= tensor.begin, "tensors follow one another");
    uint64_t bytes = dtype_bytes(tensor.dtype);
    require(bytes > 0, "the dtype is known");
    for (const int64_t extent : tensor.shape) {
      require(extent >= 0, "extents are not negative");
      require(!__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes), "sizes fit 64 bits");
    }
    require(tensor.end - tensor.begin == bytes, "the bytes are those of the shape");
    covered = tensor.end;
  }
  require(covered == data_bytes, "all data are covered");

  const SafetensorsHeader again = parse_safetensors_header(serialize_safetensors_header(header), data_bytes);
  const auto same = [](const TensorEntry& a, const TensorEntry& b) {
    return a.name == b.name && a.dtype == b.dtype && a.shape == b.shape && a.begin == b.begin && a.end == b.end;
  };
  require(again.metadata == header.metadata, "the metadata come back");
  require(again.tensors.size() == header.tensors.size(), "the tensors come back");
  // Those without bytes at one place have no order.
  for (const TensorEntry& tensor : header.tensors) {
    require(std::ranges::any_of(again.tensors, [&](const TensorEntry& other) { return same(tensor, other); }),
            "each tensor comes back");
  }
  return 0;
}
