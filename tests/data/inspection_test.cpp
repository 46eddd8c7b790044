#include "data/inspection.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/guess_kind.h"
#include "tests/data/made_files.h"
#include "tests/data/user_error.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class Inspect : public testing::Test {
 protected:
  DataKind kind(const std::string& name) const { return guess_kind(folder_ / name); }
  Inspection inspect(DataKind kind, const std::string& name, Split split = Split::automatic) const {
    return inspect_data({.kind = kind, .path = folder_ / name, .split = split}, 4, 1);
  }

  TemporaryFolder folder_;
};

TEST_F(Inspect, GuessesTheKind) {
  folder_.write("images/a.png", grey_png(1));
  folder_.write("images/b.tar", "");
  folder_.write("cifar/cifar-10-batches-bin/data_batch_1.bin", "");
  folder_.write("stl/train_X.bin", "");
  folder_.write("mnist/t10k-images.idx3-ubyte.gz", "");
  folder_.write("shards/0.tar", "");
  folder_.write("shards/1.tar", "");
  folder_.write("x.unknown", "");
  EXPECT_EQ(kind("images"), DataKind::folder);
  EXPECT_EQ(kind("images/b.tar"), DataKind::archive);
  EXPECT_EQ(kind("cifar"), DataKind::cifar10);
  EXPECT_EQ(kind("cifar/cifar-10-batches-bin/data_batch_1.bin"), DataKind::cifar10);
  EXPECT_EQ(kind("stl"), DataKind::stl10);
  EXPECT_EQ(kind("mnist"), DataKind::idx);
  EXPECT_EQ(kind("mnist/t10k-images.idx3-ubyte.gz"), DataKind::idx);
  EXPECT_EQ(kind("shards"), DataKind::archive);
  EXPECT_EQ(kind("shards/{0..1}.tar"), DataKind::archive);
  EXPECT_THAT(error_of([&] { kind("missing"); }), HasSubstr("there is no file or folder"));
  EXPECT_THAT(error_of([&] { kind("x.unknown"); }), HasSubstr("data.kind"));
}

TEST_F(Inspect, CountsWhatAFolderHolds) {
  for (int i = 0; i < 6; ++i) folder_.write("in/train/a/" + std::to_string(i) + ".png", grey_png(10 * i));
  folder_.write("in/train/b/colour.png", encode_image(".png", cv::Mat(40, 50, CV_8UC3, cv::Scalar(1, 2, 3))));
  folder_.write("in/train/b/broken.png", "broken");
  folder_.write("in/test/b/1.png", grey_png(1));
  const Inspection found = inspect(DataKind::folder, "in");
  EXPECT_EQ(found.readable, 7);
  EXPECT_EQ(found.grey, 6);
  EXPECT_THAT(found.source, HasSubstr("folder train"));
  EXPECT_THAT(found.sizes, ElementsAre(Pair(ImageSize{8, 8}, 6), Pair(ImageSize{50, 40}, 1)));
  EXPECT_THAT(found.classes, ElementsAre(Pair("a", 6), Pair("b", 1)));
  EXPECT_EQ(found.unreadable, 1);
  EXPECT_THAT(found.unreadable_examples, ElementsAre("train/b/broken.png is not a PNG, JPEG, BMP or WebP image"));
  // Positions 0, 2, 4 and 7 of 8.
  ASSERT_EQ(found.sheet.sizes(), (std::vector<int64_t>{4, 3, 64, 64}));
  EXPECT_TRUE(found.sheet.select(3, 0).select(2, 0).equal(
      torch::tensor({{0, 0, 0}, {20, 20, 20}, {40, 40, 40}, {3, 2, 1}}, torch::kUInt8)));
  EXPECT_EQ(found.suggested_size(), 8);
  EXPECT_EQ(found.suggested_channels(), 3);
  EXPECT_EQ(inspect(DataKind::folder, "in", Split::test).readable, 1);
}

TEST_F(Inspect, ReadsBinaryFiles) {
  folder_.write("mnist/train-images-idx3-ubyte", idx_images(3, 28, 28, std::string(3 * 784, 'x')));
  folder_.write("mnist/train-labels-idx1-ubyte", idx_labels(std::string("\1\1\0", 3)));
  const Inspection found = inspect(DataKind::automatic, "mnist");
  EXPECT_EQ(found.kind, DataKind::idx);
  EXPECT_EQ(found.readable, 3);
  EXPECT_EQ(found.grey, 3);
  EXPECT_THAT(found.classes, ElementsAre(Pair("0", 1), Pair("1", 2)));
  EXPECT_EQ(found.sheet.sizes(), (std::vector<int64_t>{3, 3, 28, 28}));
  EXPECT_EQ(found.suggested_size(), 32);
  EXPECT_EQ(found.suggested_channels(), 1);
}

TEST_F(Inspect, BinaryImagesNeedNotBeSquare) {
  for (const bool packed : {false, true}) {
    const std::string images = idx_images(2, 20, 36, std::string(2 * 720, 'x'));
    const std::string name = packed ? "packed/train-images-idx3-ubyte.gz" : "plain/train-images-idx3-ubyte";
    folder_.write(name, packed ? gzip(images) : images);
    const Inspection found = inspect(DataKind::idx, packed ? "packed" : "plain");
    EXPECT_THAT(found.sizes, ElementsAre(Pair(ImageSize{36, 20}, 2)));
    EXPECT_EQ(found.readable, 2);
    EXPECT_EQ(found.sheet.sizes(), (std::vector<int64_t>{2, 3, 20, 20}));
    EXPECT_EQ(found.suggested_size(), 16);
  }
}

TEST(Inspection, SuggestsWhatMostImagesFill) {
  const auto suggested = [](std::map<ImageSize, int64_t> sizes) {
    Inspection inspection;
    inspection.sizes = std::move(sizes);
    for (const auto& [size, count] : inspection.sizes) inspection.readable += count;
    return inspection.suggested_size();
  };
  EXPECT_EQ(suggested({{{32, 32}, 5}}), 32);
  EXPECT_EQ(suggested({{{96, 96}, 5}}), 64);
  EXPECT_EQ(suggested({{{4000, 3000}, 5}}), 256);
  EXPECT_EQ(suggested({{{20, 500}, 5}, {{130, 140}, 20}, {{1000, 1000}, 3}}), 128);
}

}  // namespace
}  // namespace sgan
