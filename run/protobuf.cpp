#include "run/protobuf.h"

#include <bit>

namespace sgan {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in memory");

ProtobufMessage& ProtobufMessage::integer(uint32_t field, int64_t value) {
  key(field, Wire::varint);
  varint(static_cast<uint64_t>(value));
  return *this;
}

ProtobufMessage& ProtobufMessage::single(uint32_t field, float value) {
  key(field, Wire::fixed32);
  raw(value);
  return *this;
}

ProtobufMessage& ProtobufMessage::number(uint32_t field, double value) {
  key(field, Wire::fixed64);
  raw(value);
  return *this;
}

ProtobufMessage& ProtobufMessage::text(uint32_t field, std::string_view value) {
  key(field, Wire::length);
  varint(value.size());
  bytes_ += value;
  return *this;
}

ProtobufMessage& ProtobufMessage::numbers(uint32_t field, std::span<const double> values) {
  return text(field, {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

ProtobufMessage& ProtobufMessage::integers(uint32_t field, std::span<const int64_t> values) {
  ProtobufMessage packed;
  for (const int64_t value : values) packed.varint(static_cast<uint64_t>(value));
  return message(field, packed);
}

void ProtobufMessage::key(uint32_t field, Wire wire) {
  varint((uint64_t{field} << 3) | static_cast<uint32_t>(wire));
}

void ProtobufMessage::varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7f) | 0x80);
  bytes_ += static_cast<char>(value);
}

template <class Number>
void ProtobufMessage::raw(Number value) {
  bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace sgan
