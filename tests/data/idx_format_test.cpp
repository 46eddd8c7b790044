#include "data/idx_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/made_files.h"
#include "tests/data/user_error.h"

namespace sgan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

IdxFiles files_of(const std::string& images, const std::string& labels = "") {
  IdxFiles files{in_memory("images", images), std::nullopt, std::nullopt};
  if (!labels.empty()) files.labels = in_memory("labels", labels);
  return files;
}

std::string error(const std::string& images, const std::string& labels = "") {
  return error_of([&] { parse_idx(files_of(images, labels)); });
}

TEST(IdxFormat, ImagesAndLabelsAreThoseOfTheFiles) {
  const std::string images = idx_images(2, 3, 2, "abcdefghijkl");
  const std::string labels = idx_labels("\4\1");
  for (const bool packed : {false, true}) {
    const IdxContent content = parse_idx(packed ? files_of(gzip(images), gzip(labels)) : files_of(images, labels));
    EXPECT_EQ(content.images.count, 2);
    EXPECT_EQ(content.images.height, 3);
    EXPECT_EQ(content.images.width, 2);
    EXPECT_EQ(content.images.stride, 6);
    EXPECT_EQ(std::string(content.images.bytes.begin(), content.images.bytes.end()), "abcdefghijkl");
    EXPECT_THAT(content.labels, ElementsAre(4, 1));
    EXPECT_EQ(content.classes, 5);
  }
}

TEST(IdxFormat, TheSizeIsReadFromTheHeaderAlone) {
  const std::string header = idx_images(60000, 28, 14, "");
  for (const std::string& file : {header, gzip(header)}) {
    const ImageSize size = parse_idx_image_size(in_memory("images", file));
    EXPECT_EQ(size.width, 14);
    EXPECT_EQ(size.height, 28);
  }
}

// 2^32 - 1 images of 4096x4096 are 7e16 bytes, which the header of a small file may claim.
TEST(IdxFormat, SizesThatAreNotThoseOfTheFileAreRefused) {
  const std::string huge = idx_images(0xffffffff, 4096, 4096, "abc");
  EXPECT_THAT(error(huge), HasSubstr("has 19 bytes, but its header states 4294967295 images of 4096x4096"));
  EXPECT_THAT(error(gzip(huge)), HasSubstr("too few for what its header states"));
  EXPECT_THAT(error(idx_images(1, 0xffffffff, 1, "")), HasSubstr("allowed: 1 or more of 1 to 4096 pixels a side"));
  EXPECT_THAT(error(idx_images(0, 1, 1, "")), HasSubstr("states 0 images"));
  EXPECT_THAT(error(idx_images(1, 2, 2, "abcd") + "e"), HasSubstr("has 21 bytes"));
  EXPECT_THAT(error(gzip(idx_images(1, 2, 2, "abcd") + "e")), HasSubstr("unpacks to at least 21 bytes"));
  EXPECT_THAT(error(idx_images(1, 1, 1, "a"), big_endian(0x801) + big_endian(0xffffffff) + "a"),
              HasSubstr("labels has 9 bytes, but its header states 4294967295 labels"));
}

TEST(IdxFormat, FilesOfTwoDataSetsAreRefused) {
  EXPECT_THAT(error(idx_images(1, 1, 1, "a"), idx_labels("\1\2")), HasSubstr("labels has 2 labels for 1 images"));
  EXPECT_THAT(error(idx_labels("\1")), HasSubstr("begins with 0x00000801, but an IDX file of images"));
  EXPECT_THAT(error(""), HasSubstr("begins with 0x00000000"));
}

}  // namespace
}  // namespace sgan
