#include "data/cache.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/load.h"
#include "run/atomic_file.h"
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

class Cache : public testing::Test {
 protected:
  Cache() {
    options_.kind = DataKind::folder;
    options_.path = folder_ / "images";
    options_.cache = folder_ / "deep/cache";
    options_.on_error = OnError::skip;
    folder_.write("images/b/2.png", grey_png(2));
    folder_.write("images/a/1.png", grey_png(1));
    folder_.write("images/a/broken.png", "broken");
  }
  std::string cached_bytes() const {
    std::ifstream file(cache_path(options_), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // In place of the file, not into it: data sets have it mapped.
  void damage(const std::string& bytes) {
    fs::remove(cache_path(options_));
    std::ofstream(cache_path(options_), std::ios::binary) << bytes;
  }
  Dataset load() const { return load_dataset(options_, 0, 1); }

  TemporaryFolder folder_;
  DataOptions options_;
};

constexpr const char* kHit = "; from the cache";

TEST_F(Cache, TheSecondTimeComesFromIt) {
  DataOptions without = options_;
  without.cache = "";
  const Dataset expected = load_dataset(without, 0, 1);
  EXPECT_EQ(expected.skipped, 1);
  Dataset unhashed = expected;
  unhashed.content_hash = "";
  EXPECT_EQ(fingerprint(unhashed), expected.content_hash);

  const Dataset first = load();
  EXPECT_THAT(first.description, Not(HasSubstr(kHit)));
  const Dataset second = load();
  EXPECT_THAT(second.description, AllOf(HasSubstr(expected.description), HasSubstr(kHit)));
  expect_same_dataset(first, expected);
  expect_same_dataset(second, expected);
  EXPECT_EQ(fs::file_size(cache_path(options_)), cached_bytes().size());
}

TEST_F(Cache, OutlivesTheDatasetThatMappedIt) {
  load();
  torch::Tensor samples = load().samples;
  fs::remove_all(options_.cache);
  EXPECT_EQ(samples[1][0][7][7].item<int>(), 2);
}

TEST_F(Cache, NoticesThatFilesChanged) {
  load();
  folder_.write("images/c/3.png", grey_png(3));
  EXPECT_EQ(load().size(), 3);
  EXPECT_EQ(load().size(), 3);
  folder_.write("images/c/3.png", grey_png(4));  // of the same size
  fs::last_write_time(folder_ / "images/c/3.png", fs::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_EQ(load().samples[2][0][0][0].item<int>(), 4);
  fs::remove(folder_ / "images/c/3.png");
  EXPECT_EQ(load().size(), 2);
}

TEST_F(Cache, NoticesContentOfTheSameSizeAndTime) {
  const fs::path image = folder_ / "images/b/2.png";
  ASSERT_EQ(grey_png(2).size(), grey_png(3).size());
  const auto time = fs::last_write_time(image);
  load();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // a change within one tick of the clock shows nowhere
  folder_.write("images/b/2.png", grey_png(3));
  fs::last_write_time(image, time);
  EXPECT_EQ(load().samples[1][0][0][0].item<int>(), 3);

  folder_.write("other.png", grey_png(4));
  fs::last_write_time(folder_ / "other.png", time);
  fs::rename(folder_ / "other.png", image);
  EXPECT_EQ(load().samples[1][0][0][0].item<int>(), 4);
  EXPECT_THAT(load().description, HasSubstr(kHit));
}

TEST_F(Cache, WhatAKilledWriterLeftIsRemoved) {
  const pid_t killed = ::fork();
  if (killed == 0) {
    fs::create_directories(options_.cache);
    AtomicFile unfinished(cache_path(options_));
    unfinished.write("half a cache");
    ::_exit(1);
  }
  ::waitpid(killed, nullptr, 0);
  const auto files = [&] { return std::distance(fs::directory_iterator(options_.cache), {}); };
  ASSERT_EQ(files(), 1);
  load();
  EXPECT_TRUE(fs::exists(cache_path(options_)));
  EXPECT_EQ(files(), 1);
}

TEST_F(Cache, EveryWayToDecodeHasItsOwn) {
  load();
  options_.size = 16;
  EXPECT_EQ(load().samples.size(3), 16);
  options_.channels = 3;
  EXPECT_EQ(load().samples.size(1), 3);
  options_.size = 0;
  options_.channels = 0;
  EXPECT_THAT(load().description, HasSubstr(kHit));
}

TEST_F(Cache, DamageIsNoticedAndRepaired) {
  const Dataset expected = load();
  const std::string whole = cached_bytes();
  std::vector<std::string> damaged = {"",
                                      "short",
                                      whole.substr(0, 100),
                                      whole.substr(0, whole.size() - 1),
                                      whole + "x",
                                      std::string(whole.size(), '\0')};
  for (const std::string text : {"content_hash\":\"", "skipped\":\"", "\"samples\"", "folder "}) {
    damaged.push_back(whole);
    damaged.back()[whole.find(text) + text.size()] ^= 1;
  }
  damaged.push_back(whole);
  const size_t labels = whole.find('}', whole.find("\"samples\"")) + 2;
  damaged.back()[whole.find_first_not_of(' ', labels)] ^= 1;  // the first label
  damaged.push_back(whole);
  damaged.back().back() ^= 1;  // the last pixel
  for (const std::string& bytes : damaged) {
    damage(bytes);
    const Dataset again = load();
    EXPECT_THAT(again.description, HasSubstr("was damaged and is written anew"));
    expect_same_dataset(again, expected);
    EXPECT_THAT(load().description, HasSubstr(kHit));
  }
}

TEST_F(Cache, KeepsClassNamesOfAnyCharacters) {
  const Dataset made{.description = "made",
                     .samples = torch::zeros({2, 1, 2, 2}, torch::kUInt8),
                     .labels = {0, 1},
                     .classes = {"a\nb", "12:c"},
                     .modes = {},
                     .skipped = 0,
                     .content_hash = {}};
  Dataset hashed = made;
  hashed.content_hash = fingerprint(made);
  write_cache(folder_ / "made.safetensors", "key", hashed);
  EXPECT_EQ(read_cache(map_file(folder_ / "made.safetensors"), "key").value().classes, made.classes);
}

TEST_F(Cache, IsDoneWithoutWhereItCannotBeWritten) {
  folder_.write("file", "in the way");
  options_.cache = folder_ / "file/cache";
  const Dataset dataset = load();
  EXPECT_EQ(dataset.size(), 2);
  EXPECT_THAT(dataset.description, HasSubstr("warning: not cached"));
  EXPECT_EQ(dataset.content_hash.size(), 64);
}

TEST_F(Cache, ReadsNoOtherKeysFile) {
  Dataset dataset;
  dataset.samples = torch::zeros({1, 1, 2, 2}, torch::kUInt8);
  dataset.content_hash = fingerprint(dataset);
  write_cache(folder_ / "x.safetensors", "one", dataset);
  EXPECT_TRUE(read_cache(map_file(folder_ / "x.safetensors"), "one").has_value());
  EXPECT_FALSE(read_cache(map_file(folder_ / "x.safetensors"), "two").has_value());
}

}  // namespace
}  // namespace sgan
