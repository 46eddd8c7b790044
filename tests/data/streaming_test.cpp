#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/cache.h"
#include "data/load.h"
#include "data/memory.h"
#include "data/sample_file.h"
#include "data/sample_writer.h"
#include "tests/data/made_files.h"
#include "tests/data/same_dataset.h"
#include "tests/data/user_error.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kStreamed = "; streamed from the cache ";

// Images of all values in two classes, some of them unreadable.
Members images(int count) {
  Members members;
  for (int i = 0; i < count; ++i) {
    const std::string name = (i % 2 == 0 ? "a/" : "b/") + std::to_string(1000 + i) + ".png";
    members.emplace_back(name, i % 7 == 3 ? "broken" : grey_png(i % 256));
  }
  return members;
}

class Streaming : public testing::Test {
 protected:
  Streaming() {
    options_.path = folder_ / "images.tar";
    options_.kind = DataKind::archive;
    options_.on_error = OnError::skip;
    options_.memory = DataMemory::stream;
    options_.cache = folder_ / "cache";
    folder_.write("images.tar", make_archive(images(40)));
  }
  void use_folder() {
    for (const auto& [name, content] : images(40)) folder_.write("folder/" + name, content);
    options_.kind = DataKind::folder;
    options_.path = folder_ / "folder";
  }
  Dataset load(int64_t threads = 1) const { return load_dataset(options_, 0, threads); }
  Dataset load_resident() const {
    DataOptions options = options_;
    options.memory = DataMemory::resident;
    options.cache = "";
    return load_dataset(options, 0, 1);
  }
  int64_t cache_files() const { return std::distance(fs::directory_iterator(options_.cache), {}); }

  static void expect_same(const Dataset& streamed, const Dataset& resident) {
    ASSERT_TRUE(streamed.file);
    EXPECT_FALSE(resident.file);
    const auto all = torch::arange(resident.size());
    EXPECT_TRUE(streamed.file->gather(all).equal(resident.samples));
    expect_same_dataset(streamed, resident);
  }

  TemporaryFolder folder_;
  DataOptions options_;
};

TEST_F(Streaming, HasWhatMemoryWouldHave) {
  for (const bool from_folder : {false, true}) {
    if (from_folder) use_folder();
    const Dataset resident = load_resident();
    EXPECT_EQ(resident.skipped, 6);
    for (const int64_t threads : {1, 3}) {
      fs::remove_all(options_.cache);
      const Dataset written = load(threads);
      expect_same(written, resident);
      EXPECT_THAT(written.description, AllOf(HasSubstr(resident.description), HasSubstr(kStreamed)));
      EXPECT_EQ(written.content_hash, hash_samples(written));
      expect_same(load(), resident);
      EXPECT_EQ(cache_files(), 1);
    }
  }
}

TEST_F(Streaming, BatchesAreTheSame) {
  const Dataset streamed = load();
  const Dataset resident = load_resident();
  const auto indices = torch::tensor({33, 0, 5, 5, 17}, torch::kInt64);
  const auto flip = torch::tensor({true, false, true, false, false});
  EXPECT_TRUE(deliver(streamed, indices, flip, torch::kCPU).equal(deliver(resident, indices, flip, torch::kCPU)));
  EXPECT_THROW(streamed.file->gather(torch::tensor({34}, torch::kInt64)), c10::Error);
  EXPECT_THROW(streamed.file->gather(torch::tensor({-1}, torch::kInt64)), c10::Error);
}

// Either way to use a cache takes what the other wrote, without decoding anew.
TEST_F(Streaming, BothWaysShareTheCache) {
  const Dataset resident = load_resident();
  const auto time_of_cache = [&] { return fs::last_write_time(cache_path(options_)); };
  load();
  const auto streamed_first = time_of_cache();
  options_.memory = DataMemory::resident;
  const Dataset mapped = load();
  EXPECT_FALSE(mapped.file);
  EXPECT_THAT(mapped.description, HasSubstr("; from the cache"));
  EXPECT_TRUE(mapped.samples.equal(resident.samples));
  EXPECT_EQ(mapped.labels, resident.labels);
  EXPECT_EQ(time_of_cache(), streamed_first);

  fs::remove_all(options_.cache);
  load();
  const auto resident_first = time_of_cache();
  options_.memory = DataMemory::stream;
  expect_same(load(), resident);
  EXPECT_EQ(time_of_cache(), resident_first);
}

TEST_F(Streaming, BinaryFilesCanBeStreamed) {
  std::string pixels;
  for (int i = 0; i < 5 * 16; ++i) pixels += static_cast<char>(i);
  folder_.write("idx/train-images-idx3-ubyte", idx_images(5, 4, 4, pixels));
  folder_.write("idx/train-labels-idx1-ubyte", idx_labels(std::string("\1\0\2\1\1", 5)));
  options_ = {.kind = DataKind::idx, .path = folder_ / "idx", .cache = options_.cache, .memory = DataMemory::stream};
  for (const int64_t size : {0, 2}) {
    options_.size = size;
    const Dataset resident = load_resident();
    expect_same(load(), resident);
    expect_same(load(), resident);
  }
}

TEST_F(Streaming, TheReadingIsTold) {
  const auto told = [&] {
    std::vector<int64_t> reports;
    load_dataset(options_, 0, 1, [&](int64_t done, int64_t total) {
      EXPECT_LE(done, total);
      reports.push_back(done);
    });
    return reports;
  };
  told();
  EXPECT_EQ(told(), std::vector<int64_t>{34});
}

TEST_F(Streaming, ADamagedCacheIsWrittenAnew) {
  const Dataset resident = load_resident();
  load();
  for (const bool cut : {true, false}) {
    const fs::path path = cache_path(options_);
    const auto size = fs::file_size(path);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(size) - 1);
    file.put('\x7f');
    file.close();
    if (cut) fs::resize_file(path, size - 1);
    const Dataset again = load();
    EXPECT_THAT(again.description, HasSubstr("was damaged and is written anew"));
    expect_same(again, resident);
    EXPECT_THAT(load().description, Not(HasSubstr("damaged")));
  }
}

TEST_F(Streaming, AFileCutInUseIsNamed) {
  const Dataset dataset = load();
  fs::resize_file(cache_path(options_), 66'000);
  const auto message = error_of([&] { deliver(dataset, torch::arange(34), {}, torch::kCPU); });
  EXPECT_THAT(message, AllOf(HasSubstr(cache_path(options_).string()), HasSubstr("was cut short while it was in use"),
                             HasSubstr("delete the file, and go on")));
}

TEST_F(Streaming, NeedsACache) {
  options_.cache = "";
  EXPECT_THAT(error_of([&] { load(); }), AllOf(HasSubstr("data.memory is stream"), HasSubstr("Set data.cache")));
  folder_.write("file", "in the way");
  options_.cache = folder_ / "file/cache";
  EXPECT_THAT(error_of([&] { load(); }),
              AllOf(HasSubstr("to be streamed"), HasSubstr("file/cache"), HasSubstr("Set data.cache to another one")));
}

TEST_F(Streaming, FailuresLeaveNothingBehind) {
  options_.on_error = OnError::stop;
  EXPECT_THAT(error_of([&] { load(); }), HasSubstr("6 of 40 images cannot be read"));
  EXPECT_EQ(cache_files(), 0);
}

TEST_F(Streaming, FilesWithoutEffectAreRefused) {
  const DataOptions digits{.kind = DataKind::digits, .path = {}, .memory = DataMemory::stream};
  EXPECT_THAT(error_of([&] { load_dataset(digits, 0, 1); }),
              HasSubstr("data.memory has no effect on data.kind: digits"));
}

TEST(SampleWriter, SaysHowMuchDiskItNeeds) {
  const uint64_t gib = uint64_t{1} << 30;
  EXPECT_EQ(error_of([&] { require_space(gib, gib, "images", "cache"); }), "no error");
  EXPECT_EQ(
      error_of([&] { require_space(12 * gib, gib / 2, "9 images of 3x64x64", "some/cache"); }),
      "9 images of 3x64x64 need 12.0 GiB of disk in some/cache, which has 0.5 GiB free. Free some space there, or "
      "set data.cache to a folder on another disk.");
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] {
                SampleWriter(folder / "cache", {int64_t{1} << 40, 3, 64, 64});
              }),
              HasSubstr("1099511627776 images of 3x64x64 need"));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

// 192 MiB of images pass through the file, and the process never holds a quarter of them.
TEST(SampleWriter, TakesLittleMemory) {
  const TemporaryFolder folder;
  const auto resident_kib = [] {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmRSS:")) return std::stoll(line.substr(6));
    }
    return 0LL;
  };
  constexpr int64_t kImages = 16384;
  const auto before = resident_kib();
  SampleWriter writer(folder / "cache", {kImages, 3, 64, 64});
  for (int64_t i = 0; i < kImages; ++i) {
    writer.put(i, [&](uint8_t* out) { std::fill_n(out, 3 * 64 * 64, static_cast<uint8_t>(i)); });
  }
  std::vector<int64_t> odd;
  for (int64_t i = 1; i < kImages; i += 2) odd.push_back(i);
  writer.keep(odd);
  Dataset dataset;
  dataset.samples = writer.samples();
  dataset.file = writer.file();
  dataset.content_hash = hash_samples(dataset);
  writer.commit({{{"labels", torch::empty({0}, torch::kInt64)}}, {}}, {});
  const auto last = deliver(dataset, torch::tensor({kImages / 2 - 1, int64_t{0}}, torch::kInt64), {}, torch::kCPU);
  EXPECT_EQ(last[0].mean().item<float>(), 1.0F);  // image 16383 is of value 255
  EXPECT_LT(resident_kib() - before, 48 * 1024);
}

TEST(DataMemory, AutoStreamsWhatTakesMoreThanHalf) {
  EXPECT_TRUE(is_streamed(DataMemory::stream, 1, 100));
  EXPECT_FALSE(is_streamed(DataMemory::resident, 1000, 100));
  EXPECT_FALSE(is_streamed(DataMemory::automatic, 50, 100));
  EXPECT_TRUE(is_streamed(DataMemory::automatic, 51, 100));
  EXPECT_GT(machine_memory(), int64_t{1} << 28);
}

TEST(DataMemory, ResidentDataThatDoNotFitAreToBeStreamed) {
  EXPECT_THAT(error_of([] {
                store_in_memory({int64_t{1} << 40, 3, 64, 64});
              }),
              AllOf(HasSubstr("GiB of memory, this machine has"), HasSubstr("Set data.memory to stream")));
}

}  // namespace
}  // namespace sgan
