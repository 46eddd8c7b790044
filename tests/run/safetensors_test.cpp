#include "run/safetensors.h"

#include <gmock/gmock.h>

#include "configs/error.h"

namespace sgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// A header of one tensor "a" whose three values are given as JSON text.
std::string one_tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

// "[1,1,…]"
std::string ones(int dimensions) {
  std::string shape = "[1";
  for (int i = 1; i < dimensions; ++i) shape += ",1";
  return shape + "]";
}

TEST(SafetensorsHeader, ReadsTensorsInTheOrderOfTheirBytes) {
  const auto header = parse_safetensors_header(
      R"({"__metadata__":{"format":"pt"},"z":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("a":{"shape":[],"data_offsets":[26,27],"dtype":"BOOL"},"m":{"dtype":"BF16","shape":[1],"data_offsets":[24,26]},)"
      R"("none":{"dtype":"I64","shape":[0,4],"data_offsets":[24,24]}}   )",
      27);
  ASSERT_EQ(header.tensors.size(), 4U);
  EXPECT_EQ(header.tensors[0].name, "z");
  EXPECT_EQ(header.tensors[0].dtype, "F32");
  EXPECT_THAT(header.tensors[0].shape, ElementsAre(2, 3));
  EXPECT_EQ(header.tensors[1].name, "none");
  EXPECT_EQ(header.tensors[2].begin, 24U);
  EXPECT_EQ(header.tensors[3].end, 27U);
  EXPECT_TRUE(header.tensors[3].shape.empty());
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST(SafetensorsHeader, SurvivesWritingAndReading) {
  const SafetensorsHeader header{{{"b", "F16", {3}, 0, 6}, {"a \"quoted\" \n", "U8", {}, 6, 7}}, {{"key", "wörld"}}};
  const std::string text = serialize_safetensors_header(header);
  EXPECT_EQ(text.size() % 8, 0U);
  EXPECT_TRUE(text.starts_with(R"({"__metadata__":{"key":)"));
  const auto back = parse_safetensors_header(text, 7);
  ASSERT_EQ(back.tensors.size(), 2U);
  EXPECT_EQ(back.tensors[1].name, header.tensors[1].name);
  EXPECT_EQ(back.tensors[1].end, 7U);
  EXPECT_THAT(back.tensors[0].shape, ElementsAre(3));
  EXPECT_EQ(back.metadata, header.metadata);
}

TEST(SafetensorsHeader, EmptyFileIsValid) {
  EXPECT_TRUE(parse_safetensors_header("{}", 0).tensors.empty());
}

struct Malformed {
  std::string text;
  uint64_t data_bytes;
  std::string complaint;
};

TEST(SafetensorsHeader, RefusesWhatIsMalformed) {
  const std::string good = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  const Malformed cases[] = {
      {"", 0, "must begin with '{'"},
      {" {}", 0, "must begin with '{'"},
      {"[]", 0, "must begin with '{'"},
      {"{} x", 0, "parse_error"},
      {R"({"a":)", 0, "parse_error"},
      {"{\"\xff\":1}", 0, "UTF-8"},
      {std::string(kMaxHeaderBytes + 1, ' '), 0, "at most 100000000"},
      {R"({"a":)" + good + R"(,"a":)" + good + "}", 1, "'a' occurs twice"},
      {R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1, "'dtype' occurs twice"},
      {R"({"__metadata__":{"k":"1","k":"2"}})", 0, "'k' occurs twice"},
      {R"({"__metadata__":[]})", 0, "__metadata__ must be an object, got array"},
      {R"({"__metadata__":{"k":1}})", 0, "metadata 'k' must be a string, got number"},
      {R"({"a":1})", 0, "'a' must be an object, got number"},
      {R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1, "no 'dtype'"},
      {R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, "no 'shape'"},
      {R"({"a":{"dtype":"U8","shape":[1]}})", 1, "no 'data_offsets'"},
      {one_tensor("8", "[1]", "[0,1]"), 1, "dtype must be a string"},
      {one_tensor(R"("F7")", "[1]", "[0,1]"), 1, "unknown dtype 'F7'"},
      {one_tensor(R"("U8")", "1", "[0,1]"), 1, "shape must be an array"},
      {one_tensor(R"("U8")", "[-1]", "[0,1]"), 1, "whole numbers from 0, got -1"},
      {one_tensor(R"("U8")", "[1.5]", "[0,1]"), 1, "whole numbers from 0, got 1.5"},
      {one_tensor(R"("U8")", "[9223372036854775808]", "[0,1]"), 1, "whole numbers from 0"},
      {one_tensor(R"("F32")", "[4294967296,4294967296]", "[0,0]"), 0, "too large to address"},
      {one_tensor(R"("F64")", "[1152921504606846976]", "[0,0]"), 0, "too large to address"},
      {one_tensor(R"("U8")", "[0,4294967296,4294967296]", "[0,0]"), 0, "too large to address"},
      {one_tensor(R"("U8")", "[1]", "[0]"), 1, "data_offsets must be two"},
      {one_tensor(R"("U8")", "[1]", R"(["0",1])"), 1, "data_offsets must be two"},
      {one_tensor(R"("U8")", "[1]", "[-1,0]"), 1, "data_offsets must be two"},
      {one_tensor(R"("U8")", "[1]", "[1,0]"), 1, "before it begins"},
      {one_tensor(R"("F32")", "[2]", "[0,4]"), 4, "needs 8 bytes"},
      {one_tensor(R"("U8")", "[4]", "[0,4]"), 3, "cut short"},
      {one_tensor(R"("U8")", "[1]", "[0,1]"), 2, "last 1 bytes of the file belong to no tensor"},
      {one_tensor(R"("U8")", "[1]", "[2,3]"), 3, "2 bytes before tensor 'a' are unused"},
      {R"({"a":)" + good + R"(,"b":)" + good + "}", 1, "'b' overlaps"},
      {one_tensor(R"("U8")", "[[[[[[1]]]]]]", "[0,1]"), 1, "nested deeper"},
      {one_tensor(R"("U8")", ones(65), "[0,1]"), 1, "has 65 dimensions, at most 64 are allowed"},
  };
  for (const Malformed& malformed : cases) {
    EXPECT_THAT([&] { parse_safetensors_header(malformed.text, malformed.data_bytes); },
                ThrowsMessage<UserError>(HasSubstr(malformed.complaint)))
        << malformed.text.substr(0, 200);
  }
}

TEST(SafetensorsHeader, DeepNestingDoesNotExhaustTheStack) {
  EXPECT_THROW(parse_safetensors_header(R"({"a":)" + std::string(1'000'000, '['), 0), UserError);
}

}  // namespace
}  // namespace sgan
