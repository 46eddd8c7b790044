#include "data/cifar10.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/made_files.h"
#include "tests/data/user_error.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

// A label and planes: red is the column, green the row, blue `blue`.
std::string record(char label, char blue) {
  std::string text(1, label);
  for (int i = 0; i < 1024; ++i) text += static_cast<char>(i % 32);
  for (int i = 0; i < 1024; ++i) text += static_cast<char>(i / 32);
  return text + std::string(1024, blue);
}

class Cifar10 : public testing::Test {
 protected:
  Cifar10() {
    options_.kind = DataKind::cifar10;
    options_.path = folder_.path();
  }
  Members batches() const {
    Members members;
    for (char i = 1; i <= 5; ++i) {
      members.emplace_back("cifar-10-batches-bin/data_batch_" + std::to_string(i) + ".bin", record(i, i));
    }
    members.emplace_back("cifar-10-batches-bin/test_batch.bin", record(9, 99) + record(0, 98));
    return members;
  }
  void write_batches() {
    for (const auto& [name, bytes] : batches()) folder_.write(name, bytes);
  }
  Dataset load() const { return load_cifar10(options_, 1); }
  std::string error() const {
    return error_of([this] { load(); });
  }

  TemporaryFolder folder_;
  DataOptions options_;
};

TEST_F(Cifar10, PixelsAreExact) {
  folder_.write("one.bin", record(3, 77) + record(9, -1));
  options_.path = folder_ / "one.bin";
  const Dataset dataset = load();
  ASSERT_EQ(dataset.samples.sizes(), (std::vector<int64_t>{2, 3, 32, 32}));
  const torch::Tensor ramp = torch::arange(32, torch::kUInt8);
  EXPECT_TRUE(dataset.samples[0][0].equal(ramp.expand({32, 32})));
  EXPECT_TRUE(dataset.samples[0][1].equal(ramp.view({32, 1}).expand({32, 32})));
  EXPECT_TRUE(dataset.samples[0][2].eq(77).all().item<bool>());
  EXPECT_TRUE(dataset.samples[1][2].eq(255).all().item<bool>());
  EXPECT_THAT(dataset.labels, ElementsAre(3, 9));
  EXPECT_EQ(dataset.classes.at(9), "truck");
}

TEST_F(Cifar10, TakesTheBatchesOfTheSplit) {
  write_batches();
  EXPECT_THAT(load().labels, ElementsAre(1, 2, 3, 4, 5));
  options_.split = Split::test;
  EXPECT_THAT(load().labels, ElementsAre(9, 0));
  EXPECT_THAT(load().description, HasSubstr("test split: 2 RGB images of 32x32"));
  options_.path = folder_ / "cifar-10-batches-bin";
  EXPECT_EQ(load().samples[0][2][0][0].item<int>(), 99);
  options_.split = Split::unlabeled;
  EXPECT_THAT(error(), HasSubstr("all images of CIFAR-10 have labels"));
}

TEST_F(Cifar10, ReadsThePublishedArchive) {
  write_batches();
  const Dataset expected = load();
  folder_.write("cifar-10-binary.tar.gz", make_archive(batches(), Packing::tar_gz));
  options_.path = folder_ / "cifar-10-binary.tar.gz";
  EXPECT_TRUE(load().samples.equal(expected.samples));
  EXPECT_EQ(load().labels, expected.labels);
  folder_.write("cifar-10-binary.tar.gz", make_archive({{"x.bin", "x"}}, Packing::tar_gz));
  EXPECT_THAT(error(), HasSubstr("holds no data_batch_1.bin"));
}

TEST_F(Cifar10, ScalesAndConverts) {
  folder_.write("one.bin", record(3, 77));
  options_.path = folder_ / "one.bin";
  options_.size = 16;
  EXPECT_EQ(load().samples[0][0][0][1].item<int>(), 3);  // the mean of columns 2 and 3 is 2.5
  EXPECT_EQ(load().samples[0][1][1][0].item<int>(), 3);
  EXPECT_THAT(load().description, HasSubstr("centre-cropped and scaled"));
  options_.size = 0;
  options_.channels = 1;
  EXPECT_NEAR(load().samples[0][0][10][20].item<int>(), 0.299 * 20 + 0.587 * 10 + 0.114 * 77, 1.0);
}

TEST_F(Cifar10, ReadsTheNamesOfClassesThatAreThere) {
  write_batches();
  EXPECT_EQ(cifar10_files(options_).back().filename(), "data_batch_5.bin");
  folder_.write("cifar-10-batches-bin/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  EXPECT_THAT(load().classes, ElementsAre("a", "b", "c", "d", "e", "f", "g", "h", "i", "j"));
  EXPECT_EQ(cifar10_files(options_).back().filename(), "batches.meta.txt");
  folder_.write("cifar-10-batches-bin/batches.meta.txt", "a\nb\n");
  EXPECT_EQ(load().classes.front(), "airplane");
}

TEST_F(Cifar10, RefusesDamagedFiles) {
  write_batches();
  folder_.write("cifar-10-batches-bin/data_batch_3.bin", record(1, 1).substr(1));
  EXPECT_THAT(error(),
              AllOf(HasSubstr("data_batch_3.bin has 3072 bytes"), HasSubstr("3073"), HasSubstr("get it again")));
  folder_.write("cifar-10-batches-bin/data_batch_3.bin", "");
  EXPECT_THAT(error(), HasSubstr("has 0 bytes"));
  folder_.write("cifar-10-batches-bin/data_batch_3.bin", record(1, 1) + record(10, 1));
  EXPECT_THAT(error(), HasSubstr("data_batch_3.bin: record 1 has the label 10, allowed: 0 to 9"));
  fs::remove(folder_ / "cifar-10-batches-bin/data_batch_3.bin");
  EXPECT_THAT(error(), HasSubstr("holds no data_batch_3.bin"));
  options_.path = folder_ / "missing";
  EXPECT_THAT(error(), HasSubstr("there is no"));
  folder_.write("test_batch.bin", record(1, 1));
  options_ = {.kind = DataKind::cifar10, .path = folder_ / "test_batch.bin", .split = Split::train};
  EXPECT_THAT(error(), HasSubstr("data.split is train, but data.path is one file"));
}

}  // namespace
}  // namespace sgan
