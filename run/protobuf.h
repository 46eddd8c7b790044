#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sgan {

// A message in Protocol Buffers' wire format (https://protobuf.dev/programming-guides/encoding), field after field. It
// spares the program that library and its generated code for the few messages that TensorBoard and ONNX need. Fields
// are named by the numbers of their .proto files.
class ProtobufMessage {
 public:
  ProtobufMessage& integer(uint32_t field, int64_t value);  // int32, int64, bool, enum
  ProtobufMessage& single(uint32_t field, float value);
  ProtobufMessage& number(uint32_t field, double value);
  ProtobufMessage& text(uint32_t field, std::string_view value);  // string, bytes
  ProtobufMessage& message(uint32_t field, const ProtobufMessage& value) { return text(field, value.bytes()); }
  ProtobufMessage& numbers(uint32_t field, std::span<const double> values);    // repeated, packed
  ProtobufMessage& integers(uint32_t field, std::span<const int64_t> values);  // repeated, packed

  const std::string& bytes() const { return bytes_; }

 private:
  enum class Wire : uint32_t { varint = 0, fixed64 = 1, length = 2, fixed32 = 5 };
  void key(uint32_t field, Wire wire);
  void varint(uint64_t value);
  template <class Number>
  void raw(Number value);

  std::string bytes_;
};

}  // namespace sgan
