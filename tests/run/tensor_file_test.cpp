#include "run/tensor_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstring>
#include <fstream>

#include "configs/error.h"
#include "run/atomic_file.h"
#include "run/random_streams.h"
#include "run/safetensors.h"
#include "run/sha256.h"
#include "tests/run/file_size_limit.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::string with_length(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + data;
}

std::string header_of(const std::string& bytes) {
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  return bytes.substr(sizeof(length), length);
}

TensorFile small_file() {
  return {{{"a.weight", torch::tensor({1.5F, -2.0F})}, {"b", torch::tensor({true, false, true})}}, {{"step", "12"}}};
}

TEST(TensorFile, EveryDtypeSurvives) {
  const TemporaryFolder folder;
  TensorFile file;
  const torch::Tensor values = at::randn({3, 4}, make_generator(1, torch::kCPU), torch::kFloat64) * 100;
  for (const auto type : {torch::kFloat64, torch::kFloat32, torch::kFloat16, torch::kBFloat16, torch::kInt64,
                          torch::kInt32, torch::kInt16, torch::kInt8}) {
    file.tensors[c10::toString(type)] = values.to(type);
  }
  file.tensors["Byte"] = values.abs().to(torch::kUInt8);
  file.tensors["Bool"] = values > 0;
  file.tensors["scalar"] = torch::tensor(3.5);
  file.tensors["empty"] = torch::empty({0, 5});
  file.tensors["odd"] = torch::ones({3}, torch::kUInt8);
  file.metadata = {{"step", "12"}, {"text", "\"sha256\":\"quoted\" ü"}};
  save_tensors(folder / "a", file);

  const TensorFile back = load_tensors(folder / "a");
  ASSERT_EQ(back.tensors.size(), file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    EXPECT_EQ(back.tensors.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(back.tensors.at(name).equal(tensor)) << name;
  }
  EXPECT_EQ(back.metadata.at("step"), "12");
  EXPECT_EQ(back.metadata.at("text"), file.metadata.at("text"));
  EXPECT_EQ(back.metadata.at("format_version"), "1");
  EXPECT_EQ(load_metadata(folder / "a"), back.metadata);
}

TEST(TensorFile, StoresViewsAndParametersContiguously) {
  const TemporaryFolder folder;
  const torch::Tensor base = torch::arange(12, torch::kFloat32).view({3, 4}).requires_grad_();
  save_tensors(folder / "a", {{{"transposed", base.t()}, {"column", base.select(1, 2)}}, {}});
  const TensorFile back = load_tensors(folder / "a");
  EXPECT_TRUE(back.tensors.at("transposed").equal(base.detach().t()));
  EXPECT_TRUE(back.tensors.at("column").equal(torch::tensor({2.0F, 6.0F, 10.0F})));
  EXPECT_FALSE(back.tensors.at("column").requires_grad());
}

TEST(TensorFile, EveryTensorIsAligned) {
  const TemporaryFolder folder;
  save_tensors(folder / "a", {{{"a", torch::ones({3}, torch::kUInt8)},
                               {"b", torch::ones({1}, torch::kFloat64)},
                               {"c", torch::ones({1}, torch::kFloat16)}},
                              {}});
  const std::string bytes = read_file(folder / "a");
  const std::string text = header_of(bytes);
  const auto header = parse_safetensors_header(text, bytes.size() - 8 - text.size());
  for (const TensorEntry& entry : header.tensors) EXPECT_EQ(entry.begin % dtype_bytes(entry.dtype), 0U) << entry.name;
  EXPECT_EQ(text.size() % 8, 0U);
}

TEST(TensorFile, DigestCoversHeaderAndData) {
  const TemporaryFolder folder;
  save_tensors(folder / "a", small_file());
  const std::string digest = load_metadata(folder / "a").at("sha256");
  std::string rest = read_file(folder / "a").substr(8);
  rest.replace(rest.find(digest), 64, 64, '0');
  Sha256 expected;
  expected.update(rest);
  EXPECT_EQ(digest, expected.hex());
}

// Written by the reference implementation: safetensors.numpy.save of version 0.8, without a digest.
TEST(TensorFile, ReadsFilesOfOtherPrograms) {
  const TemporaryFolder folder;
  const std::string header =
      R"({"__metadata__":{"format":"np"},"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
      R"("weight":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]},)"
      R"("mask":{"dtype":"BOOL","shape":[3],"data_offsets":[24,27]}} )";
  const std::string data("\x07\0\0\0\0\0\0\0\0\0\xc0?\0\0\0\xc0\0\0\x80>\0\0@@\x01\0\x01", 27);
  write_file_atomically(folder / "a", with_length(header, data));
  const TensorFile file = load_tensors(folder / "a");
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"format", "np"}}));
  EXPECT_TRUE(file.tensors.at("weight").equal(torch::tensor({{1.5F, -2.0F}, {0.25F, 3.0F}})));
  EXPECT_TRUE(file.tensors.at("mask").equal(torch::tensor({true, false, true})));
  EXPECT_EQ(file.tensors.at("step").item<int64_t>(), 7);
}

TEST(TensorFile, NoticesEveryFlippedByte) {
  const TemporaryFolder folder;
  save_tensors(folder / "a", small_file());
  const std::string good = read_file(folder / "a");
  for (size_t position = 0; position < good.size(); ++position) {
    for (const char flip : {'\x01', '\x20', '\x80'}) {
      std::string bad = good;
      bad[position] = static_cast<char>(bad[position] ^ flip);
      std::ofstream(folder / "b", std::ios::binary) << bad;
      EXPECT_THROW(load_tensors(folder / "b"), UserError) << "byte " << position << " of " << good.size();
    }
  }
}

TEST(TensorFile, NoticesEveryTruncation) {
  const TemporaryFolder folder;
  save_tensors(folder / "a", small_file());
  const std::string good = read_file(folder / "a");
  for (size_t length = 0; length < good.size(); ++length) {
    std::ofstream(folder / "b", std::ios::binary) << good.substr(0, length);
    EXPECT_THAT([&] { load_tensors(folder / "b"); }, ThrowsMessage<UserError>(HasSubstr("is damaged"))) << length;
    EXPECT_THROW(load_metadata(folder / "b"), UserError) << length;
  }
  write_file_atomically(folder / "b", good + "x");
  EXPECT_THROW(load_tensors(folder / "b"), UserError);
}

TEST(TensorFile, ChecksumErrorNamesTheFile) {
  const TemporaryFolder folder;
  save_tensors(folder / "a", small_file());
  std::string bytes = read_file(folder / "a");
  bytes.back() = 0;
  write_file_atomically(folder / "a", bytes);
  EXPECT_THAT([&] { load_tensors(folder / "a"); },
              ThrowsMessage<UserError>(AllOf(HasSubstr((folder / "a").string() + " is damaged: checksum mismatch"),
                                             HasSubstr("another checkpoint"))));
}

TEST(TensorFile, WrongLengthFieldsAreRefused) {
  const TemporaryFolder folder;
  for (const uint64_t length : {uint64_t{3}, uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 7}) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    write_file_atomically(folder / "a", bytes + "{}");
    EXPECT_THAT([&] { load_tensors(folder / "a"); }, ThrowsMessage<UserError>(HasSubstr("header should have")));
  }
  write_file_atomically(folder / "a", "");
  fs::resize_file(folder / "a", 8 + kMaxHeaderBytes + 1);  // sparse: takes no room
  const uint64_t length = kMaxHeaderBytes + 1;
  std::fstream(folder / "a", std::ios::binary | std::ios::in | std::ios::out)
      .write(reinterpret_cast<const char*>(&length), 8);
  EXPECT_THAT([&] { load_tensors(folder / "a"); }, ThrowsMessage<UserError>(HasSubstr("claims 100000001 bytes")));
}

TEST(TensorFile, NewerVersionsAreRefused) {
  const TemporaryFolder folder;
  std::string header = serialize_safetensors_header({{}, {{"format_version", "2"}, {"sha256", std::string(64, '0')}}});
  Sha256 digest;
  digest.update(header);
  header.replace(header.find(std::string(64, '0')), 64, digest.hex());
  write_file_atomically(folder / "a", with_length(header, ""));
  EXPECT_THAT([&] { load_tensors(folder / "a"); }, ThrowsMessage<UserError>(HasSubstr("format version 2")));
  EXPECT_THAT([&] { load_metadata(folder / "a"); }, ThrowsMessage<UserError>(HasSubstr("format version 2")));
}

TEST(TensorFile, DtypesThatTorchLacksAreNamed) {
  const TemporaryFolder folder;
  const std::string header = serialize_safetensors_header({{{"w", "F8_E4M3", {2}, 0, 2}}, {}});
  write_file_atomically(folder / "a", with_length(header, "ab"));
  EXPECT_THAT([&] { load_tensors(folder / "a"); }, ThrowsMessage<UserError>(HasSubstr("'w' has the dtype F8_E4M3")));
}

TEST(TensorFile, UntrustedBoolsAreZeroOrOne) {
  const TemporaryFolder folder;
  const std::string header = serialize_safetensors_header({{{"w", "BOOL", {2}, 0, 2}}, {}});
  write_file_atomically(folder / "a", with_length(header, "\x02" + std::string(1, '\0')));
  const torch::Tensor bools = load_tensors(folder / "a").tensors.at("w");
  EXPECT_TRUE(bools.view(torch::kUInt8).equal(torch::tensor({1, 0}, torch::kUInt8)));
}

TEST(TensorFile, FullDiskLeavesTheOldCheckpoint) {
  const TemporaryFolder folder;
  save_tensors(folder / "a", small_file());
  {
    const FileSizeLimit limit(1000);
    EXPECT_THROW(save_tensors(folder / "a", {{{"big", torch::zeros({1000})}}, {}}), UserError);
  }
  EXPECT_EQ(load_tensors(folder / "a").tensors.size(), 2U);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(TensorFile, UnstorableTypesAreRefused) {
  const TemporaryFolder folder;
  EXPECT_THROW(save_tensors(folder / "a", {{{"z", torch::zeros({1}, torch::kComplexFloat)}}, {}}), c10::Error);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace sgan
