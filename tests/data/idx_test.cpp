#include "data/idx.h"

#include <sys/resource.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/made_files.h"
#include "tests/data/user_error.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Idx : public testing::Test {
 protected:
  Idx() {
    options_.kind = DataKind::idx;
    options_.path = folder_.path();
  }
  Dataset load() const { return load_idx(options_, 1); }
  std::string error() const {
    return error_of([this] { load(); });
  }

  TemporaryFolder folder_;
  DataOptions options_;
};

const std::string kTwo = idx_images(2, 2, 2, std::string("\0\1\2\3\xfc\xfd\xfe\xff", 8));
const std::string kLabels = idx_labels("\4\1");

TEST_F(Idx, PixelsAreExact) {
  const torch::Tensor expected = torch::tensor({0, 1, 2, 3, 252, 253, 254, 255}, torch::kUInt8).view({2, 1, 2, 2});
  folder_.write("train-images-idx3-ubyte", kTwo);
  folder_.write("train-labels-idx1-ubyte", kLabels);
  const Dataset plain = load();
  EXPECT_TRUE(plain.samples.equal(expected));
  EXPECT_THAT(plain.labels, ElementsAre(4, 1));
  EXPECT_THAT(plain.classes, ElementsAre("0", "1", "2", "3", "4"));

  std::filesystem::remove(folder_ / "train-images-idx3-ubyte");
  std::filesystem::remove(folder_ / "train-labels-idx1-ubyte");
  folder_.write("train-images.idx3-ubyte.gz", gzip(kTwo));
  folder_.write("train-labels.idx1-ubyte.gz", gzip(kLabels));
  const Dataset packed = load();
  EXPECT_TRUE(packed.samples.equal(expected));
  EXPECT_EQ(packed.labels, plain.labels);
}

TEST_F(Idx, TheTestSplitIsT10k) {
  folder_.write("train-images-idx3-ubyte", kTwo);
  folder_.write("t10k-images-idx3-ubyte", idx_images(1, 3, 3, std::string(9, 'x')));
  options_.split = Split::test;
  EXPECT_EQ(load().samples.sizes(), (std::vector<int64_t>{1, 1, 3, 3}));
  EXPECT_THAT(load().labels, IsEmpty());
  options_.split = Split::unlabeled;
  EXPECT_THAT(error(), HasSubstr("IDX files do not have"));
}

TEST_F(Idx, OneFileOfImagesIsEnough) {
  folder_.write("letters-images-idx3-ubyte", kTwo);
  options_.path = folder_ / "letters-images-idx3-ubyte";
  EXPECT_THAT(load().labels, IsEmpty());
  folder_.write("letters-labels-idx1-ubyte", kLabels);
  EXPECT_THAT(load().labels, ElementsAre(4, 1));
}

TEST_F(Idx, ScalesAndConverts) {
  folder_.write("train-images-idx3-ubyte", idx_images(1, 2, 4, std::string("\7\0\4\7\7\0\4\7", 8)));
  EXPECT_THAT(error(), AllOf(HasSubstr("must be square, but are 4x2"), HasSubstr("data.size")));
  options_.size = 2;
  options_.channels = 3;
  EXPECT_TRUE(load().samples.equal(torch::tensor({0, 4, 0, 4}, torch::kUInt8).view({1, 1, 2, 2}).repeat({1, 3, 1, 1})));
}

TEST_F(Idx, BothSplitsHaveTheSameClasses) {
  folder_.write("train-images-idx3-ubyte", kTwo);
  folder_.write("train-labels-idx1-ubyte", idx_labels(std::string("\0\2", 2)));
  folder_.write("t10k-images-idx3-ubyte", kTwo);
  folder_.write("t10k-labels-idx1-ubyte.gz", gzip(idx_labels("\1\1")));
  EXPECT_EQ(load().classes.size(), 3u);
  options_.split = Split::test;
  EXPECT_EQ(load().classes.size(), 3u);
  EXPECT_THAT(load().labels, ElementsAre(1, 1));
  EXPECT_EQ(idx_files(options_).size(), 3u);
  folder_.write("train-labels-idx1-ubyte", "damaged");
  EXPECT_THAT(error(), HasSubstr("train-labels-idx1-ubyte begins with"));
}

TEST_F(Idx, ALoneLargeLabelIsDamage) {
  folder_.write("train-images-idx3-ubyte", idx_images(11, 1, 1, std::string(11, 'x')));
  folder_.write("train-labels-idx1-ubyte", idx_labels(std::string("\0\1\2\3\4\5\6\7\x08\x09\xff", 11)));
  EXPECT_THAT(error(), AllOf(HasSubstr("train-labels-idx1-ubyte: label 10 is 255"), HasSubstr("allowed are 0 to 31")));
  folder_.write("train-labels-idx1-ubyte", idx_labels(std::string("\0\1\2\3\4\5\6\7\x08\x09\x1f", 11)));
  EXPECT_EQ(load().classes.size(), 32u);
}

// The most memory this process has had, in MiB.
int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

TEST_F(Idx, AGzipFileIsUnpackedAsFarAsItsHeaderStates) {
  std::string zeros;
  for (int i = 0; i < 512; ++i) zeros += gzip(std::string(1 << 20, '\0'));  // members are joined when they are unpacked
  const int64_t before = peak_memory();
  folder_.write("train-images-idx3-ubyte.gz", gzip(kTwo) + zeros);
  EXPECT_THAT(error(), HasSubstr("unpacks to at least 25 bytes, but its header states 2 images of 2x2"));
  folder_.write("train-images-idx3-ubyte.gz", zeros);
  EXPECT_THAT(error(), HasSubstr("begins with 0x00000000"));
  EXPECT_LT(peak_memory() - before, 100);
}

TEST_F(Idx, AGzipFileIsHeldAgainstItsHeader) {
  const auto error_with = [&](const std::string& bytes) {
    folder_.write("train-images-idx3-ubyte.gz", bytes);
    return error();
  };
  EXPECT_THAT(error_with(gzip(kTwo.substr(0, 23))), HasSubstr("unpacks to 23 bytes, but"));
  EXPECT_THAT(error_with(gzip(idx_images(~0U, 4096, 4096, ""))), HasSubstr("too few for what its header states"));
  std::string wrong_checksum = gzip(kTwo);
  wrong_checksum[wrong_checksum.size() - 6] ^= 1;
  EXPECT_THAT(error_with(wrong_checksum), HasSubstr("cannot be read"));
  EXPECT_EQ(error_with(gzip(kTwo)), "no error");
}

TEST_F(Idx, RefusesDamagedFiles) {
  const auto error_with = [&](const std::string& images, const std::string& labels) {
    folder_.write("train-images-idx3-ubyte", images);
    folder_.write("train-labels-idx1-ubyte", labels);
    return error();
  };
  EXPECT_THAT(error(), AllOf(HasSubstr("holds none of train-images-idx3-ubyte,")));
  EXPECT_THAT(error_with(kLabels, kLabels), HasSubstr("train-images-idx3-ubyte begins with 0x00000801, but an IDX file "
                                                      "of images begins with 0x00000803"));
  EXPECT_THAT(error_with(kTwo, kTwo), HasSubstr("an IDX file of labels begins with 0x00000801"));
  EXPECT_THAT(error_with("", kLabels), HasSubstr("begins with 0x00000000"));
  EXPECT_THAT(error_with(kTwo.substr(0, 23), kLabels),
              AllOf(HasSubstr("has 23 bytes"), HasSubstr("2 images of 2x2, which are 24 bytes")));
  EXPECT_THAT(error_with(kTwo + "x", kLabels), HasSubstr("has 25 bytes"));
  EXPECT_THAT(error_with(kTwo, kLabels.substr(0, 9)), HasSubstr("2 labels, which are 10 bytes"));
  EXPECT_THAT(error_with(kTwo, idx_labels("\1")), HasSubstr("has 1 labels for 2 images"));
  EXPECT_THAT(error_with(idx_images(0, 2, 2, ""), kLabels), HasSubstr("states 0 images"));
  EXPECT_THAT(error_with(idx_images(~0U, ~0U, ~0U, ""), kLabels), HasSubstr("allowed: 1 or more of 1 to 4096"));
  const std::string packed = gzip(kTwo);
  EXPECT_THAT(error_with(packed.substr(0, packed.size() - 12), kLabels),
              HasSubstr("train-images-idx3-ubyte cannot be read"));
}

}  // namespace
}  // namespace sgan
