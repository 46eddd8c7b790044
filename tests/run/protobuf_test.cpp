#include "run/protobuf.h"

#include <gtest/gtest.h>

#include <array>

namespace sgan {
namespace {

using std::string_literals::operator""s;

// The examples of https://protobuf.dev/programming-guides/encoding.
TEST(ProtobufMessage, TheSpecificationsExamples) {
  EXPECT_EQ(ProtobufMessage().integer(1, 150).bytes(), "\x08\x96\x01"s);
  EXPECT_EQ(ProtobufMessage().text(2, "testing").bytes(), "\x12\x07testing"s);
  EXPECT_EQ(ProtobufMessage().message(3, ProtobufMessage().integer(1, 150)).bytes(), "\x1a\x03\x08\x96\x01"s);
  EXPECT_EQ(ProtobufMessage().integers(6, std::array<int64_t, 3>{3, 270, 86942}).bytes(),
            "\x32\x06\x03\x8e\x02\x9e\xa7\x05"s);
}

TEST(ProtobufMessage, NumbersAreLittleEndian) {
  EXPECT_EQ(ProtobufMessage().single(1, 1.0F).bytes(), "\x0d\x00\x00\x80\x3f"s);
  EXPECT_EQ(ProtobufMessage().number(1, 1.0).bytes(), "\x09\x00\x00\x00\x00\x00\x00\xf0\x3f"s);
  EXPECT_EQ(ProtobufMessage().numbers(1, std::array{1.0}).bytes(), "\x0a\x08\x00\x00\x00\x00\x00\x00\xf0\x3f"s);
}

TEST(ProtobufMessage, NegativeIntegersTakeTenBytesAndFieldsAboveFifteenTwo) {
  EXPECT_EQ(ProtobufMessage().integer(1, -1).bytes(), "\x08"s + std::string(9, '\xff') + "\x01");
  EXPECT_EQ(ProtobufMessage().integer(20, 1).bytes(), "\xa0\x01\x01"s);
}

}  // namespace
}  // namespace sgan
