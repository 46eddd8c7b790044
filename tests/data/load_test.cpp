#include "data/load.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "configs/error.h"
#include "data/digits.h"
#include "tests/data/made_files.h"
#include "tests/data/user_error.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

void expect_usage_error(const DataOptions& options, const testing::Matcher<std::string>& text) {
  try {
    load_dataset(options, 0, 1);
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.kind(), UserError::Kind::usage);
    EXPECT_THAT(error.what(), text);
  }
}

// Makes data of one of the kinds that read files in `folder`; returns data.path.
std::string make_files(DataKind kind, const TemporaryFolder& folder) {
  const std::string path(name_of(kind));
  if (kind == DataKind::archive) return folder.write(path, make_archive({{"1.png", grey_png(7)}}));
  const auto write = [&](const std::string& name, const std::string& bytes) { folder.write(path + "/" + name, bytes); };
  if (kind == DataKind::folder || kind == DataKind::automatic) write("1.png", grey_png(7));
  if (kind == DataKind::idx) write("train-images-idx3-ubyte", idx_images(1, 28, 28, std::string(784, 'x')));
  for (int i = 1; kind == DataKind::cifar10 && i <= 5; ++i) {
    write("data_batch_" + std::to_string(i) + ".bin", std::string(3073, '\1'));
  }
  if (kind == DataKind::stl10) {
    for (const char* name : {"train_X.bin", "unlabeled_X.bin"}) write(name, std::string(27648, '\1'));
    write("train_y.bin", "\1");
  }
  return folder / path;
}

TEST(LoadDataset, CoversEveryKind) {
  TemporaryFolder folder;
  for (const auto& [kind, name] : Names<DataKind>::table) {
    DataOptions options;
    options.kind = kind;
    if (reads_files(kind)) {
      options.path = make_files(kind, folder);
      options.cache = folder / "cache";
    }
    if (kind == DataKind::grid) options.modes = 9;
    const Dataset dataset = load_dataset(options, 0, 1);
    EXPECT_GT(dataset.size(), 0) << name;
    EXPECT_EQ(dataset.planar(), is_planar(kind)) << name;
    EXPECT_THAT(dataset.description, HasSubstr(kind == DataKind::automatic ? "folder" : name));
    EXPECT_TRUE(dataset.labels.empty() || std::ssize(dataset.labels) == dataset.size()) << name;
    const auto declared = declared_sample_shape(options);
    const bool has_own_shape = !testing::Value(kind, AnyOf(DataKind::folder, DataKind::archive, DataKind::automatic));
    EXPECT_EQ(declared.has_value(), has_own_shape) << name;
    EXPECT_EQ(declared.value_or(dataset.sample_shape()), dataset.sample_shape()) << name;
    if (!reads_files(kind)) continue;
    EXPECT_THAT(load_dataset(options, 0, 1).description, HasSubstr("from the cache")) << name;
    options.size = 16;
    options.channels = 3;
    EXPECT_EQ(load_dataset(options, 0, 1).sample_shape(), declared_sample_shape(options)) << name;
  }
}

TEST(LoadDataset, DigitsHaveATestSplit) {
  DataOptions options;
  options.split = Split::test;
  EXPECT_TRUE(load_dataset(options, 0, 1).samples.equal(load_digits_test(8).samples));
  options.split = Split::train;
  EXPECT_TRUE(load_dataset(options, 0, 1).samples.equal(load_digits(8).samples));
  options.split = Split::unlabeled;
  expect_usage_error(options, HasSubstr("all digits have labels"));
}

TEST(LoadDataset, PassesTheSeedToTheToys) {
  const DataOptions ring{.kind = DataKind::ring, .path = {}, .count = 10};
  EXPECT_TRUE(load_dataset(ring, 1, 1).samples.equal(load_dataset(ring, 1, 4).samples));
  EXPECT_FALSE(load_dataset(ring, 1, 1).samples.equal(load_dataset(ring, 2, 1).samples));
}

TEST(LoadDataset, DigitsComeInGreyAndRgb) {
  DataOptions options;
  options.size = 16;
  EXPECT_EQ(load_dataset(options, 0, 1).sample_shape(), (std::vector<int64_t>{1, 16, 16}));
  options.channels = 3;
  const Dataset rgb = load_dataset(options, 0, 1);
  EXPECT_EQ(rgb.sample_shape(), (std::vector<int64_t>{3, 16, 16}));
  EXPECT_TRUE(rgb.samples.select(1, 2).equal(load_digits(16).samples.select(1, 0)));
}

TEST(LoadDataset, RefusesOptionsWithoutEffect) {
  expect_usage_error({.kind = DataKind::digits, .path = "/images"},
                     AllOf(HasSubstr("data.path"), HasSubstr("digits"), HasSubstr("split, size, channels, flip")));
  expect_usage_error({.kind = DataKind::ring, .path = {}, .flip = true}, HasSubstr("data.flip"));
  expect_usage_error({.kind = DataKind::ring, .path = {}, .size = 32}, HasSubstr("data.size"));
  expect_usage_error({.kind = DataKind::swiss_roll, .path = {}, .modes = 9}, HasSubstr("data.modes"));
  expect_usage_error({.kind = DataKind::folder, .path = "/images", .count = 9}, HasSubstr("data.count"));
  expect_usage_error({.kind = DataKind::folder, .path = "/images", .std = 0.1}, HasSubstr("data.std"));
  expect_usage_error({.kind = DataKind::ring, .path = {}, .split = Split::test}, HasSubstr("data.split"));
  expect_usage_error({.kind = DataKind::ring, .path = {}, .cache = ""}, HasSubstr("data.cache"));
  expect_usage_error({.kind = DataKind::idx, .path = "x", .on_error = OnError::skip}, HasSubstr("data.on_error"));
  expect_usage_error({.kind = DataKind::folder, .path = ""}, HasSubstr("data.path is empty"));
  expect_usage_error({.kind = DataKind::digits, .path = {}, .on_error = OnError::skip}, HasSubstr("data.on_error"));
}

TEST(LoadDataset, TellsStl10ByItsNames) {
  TemporaryFolder folder;
  for (const char* name : {"train_X.bin", "train_y.bin", "unlabeled_X.bin", "stl10_binary.tar.gz"}) {
    folder.write(name, std::string(27648, '\1'));
    const DataOptions options{.kind = DataKind::automatic, .path = folder / name};
    EXPECT_THAT(error_of([&] { load_dataset(options, 0, 1); }), HasSubstr("Set it to the folder of STL-10's binary"));
  }
}

TEST(LoadDataset, RefusesOtherChannelCounts) {
  expect_usage_error({.kind = DataKind::digits, .path = {}, .channels = 2}, HasSubstr("data.channels is 2"));
}

}  // namespace
}  // namespace sgan
