#include "data/stl10.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/user_error.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kSide = 96;

// Red is the column, green the row, blue `blue`; bytes go down the columns.
std::string image(char blue) {
  std::string text;
  for (int x = 0; x < kSide; ++x) text += std::string(kSide, static_cast<char>(x));
  for (int x = 0; x < kSide; ++x) {
    for (int y = 0; y < kSide; ++y) text += static_cast<char>(y);
  }
  return text + std::string(kSide * kSide, blue);
}

class Stl10 : public testing::Test {
 protected:
  Stl10() {
    options_.kind = DataKind::stl10;
    options_.path = folder_.path();
    write("train_X.bin", image(1) + image(2));
    write("train_y.bin", "\1\12");
    write("unlabeled_X.bin", image(3));
    write("test_X.bin", image(4));
    write("test_y.bin", "\2");
  }
  void write(const std::string& name, const std::string& bytes) { folder_.write("stl10_binary/" + name, bytes); }
  Dataset load(Split split) {
    options_.split = split;
    return load_stl10(options_, 1);
  }
  std::string error(Split split) {
    return error_of([&] { load(split); });
  }

  TemporaryFolder folder_;
  DataOptions options_;
};

TEST_F(Stl10, PixelsAreExact) {
  const Dataset dataset = load(Split::train);
  ASSERT_EQ(dataset.samples.sizes(), (std::vector<int64_t>{2, 3, kSide, kSide}));
  const torch::Tensor ramp = torch::arange(kSide, torch::kUInt8);
  EXPECT_TRUE(dataset.samples[1][0].equal(ramp.expand({kSide, kSide})));
  EXPECT_TRUE(dataset.samples[1][1].equal(ramp.view({kSide, 1}).expand({kSide, kSide})));
  EXPECT_TRUE(dataset.samples[1][2].eq(2).all().item<bool>());
  EXPECT_THAT(dataset.labels, ElementsAre(0, 9));
  EXPECT_EQ(dataset.classes.at(9), "truck");
}

TEST_F(Stl10, AutomaticAddsTheUnlabeled) {
  const Dataset all = load(Split::automatic);
  EXPECT_TRUE(all.samples.select(1, 2).select(2, 0).select(1, 0).equal(torch::tensor({1, 2, 3}, torch::kUInt8)));
  EXPECT_THAT(all.labels, IsEmpty());
  EXPECT_THAT(all.classes, IsEmpty());
  EXPECT_THAT(all.description,
              AllOf(HasSubstr("train and unlabeled split: 3 RGB images"), HasSubstr("without labels")));
  EXPECT_EQ(load(Split::unlabeled).size(), 1);
  EXPECT_THAT(load(Split::test).labels, ElementsAre(1));
}

TEST_F(Stl10, ScalesTheWholeImage) {
  options_.size = 48;
  const Dataset dataset = load(Split::test);
  EXPECT_EQ(dataset.samples.sizes(), (std::vector<int64_t>{1, 3, 48, 48}));
  EXPECT_EQ(dataset.samples[0][0][0][47].item<int>(), 95);  // the mean of columns 94 and 95 is 94.5
  EXPECT_EQ(dataset.samples[0][1][47][0].item<int>(), 95);
}

TEST_F(Stl10, ReadsTheNamesOfClasses) {
  write("class_names.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
  EXPECT_EQ(load(Split::test).classes.at(1), "b");
  EXPECT_EQ(stl10_files(options_).back().filename(), "class_names.txt");
  fs::remove(folder_ / "stl10_binary/class_names.txt");
  EXPECT_EQ(stl10_files(options_).back().filename(), "test_y.bin");
}

TEST_F(Stl10, RefusesDamagedFiles) {
  write("train_y.bin", "\1");
  EXPECT_THAT(error(Split::train), HasSubstr("train_y.bin has 1 labels for 2 images"));
  write("train_y.bin", std::string("\1\0", 2));
  EXPECT_THAT(error(Split::train), HasSubstr("has a label 0, allowed: 1 to 10"));
  write("train_y.bin", "\1\13");
  EXPECT_THAT(error(Split::train), HasSubstr("has a label 11"));
  write("test_X.bin", image(1).substr(1));
  EXPECT_THAT(error(Split::test), AllOf(HasSubstr("test_X.bin has 27647 bytes"), HasSubstr("27648")));
  fs::remove(folder_ / "stl10_binary/unlabeled_X.bin");
  EXPECT_THAT(error(Split::automatic), AllOf(HasSubstr("holds no unlabeled_X.bin"), HasSubstr("data.split to train")));
  options_.path = folder_ / "missing";
  EXPECT_THAT(error(Split::train), HasSubstr("is no folder"));
}

}  // namespace
}  // namespace sgan
