#include "data/image_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/made_files.h"
#include "tests/data/user_error.h"

namespace sgan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string cifar10_record(char label, char pixel) {
  return label + std::string(kCifar10Record - 1, pixel);
}

TEST(ImageRecords, Cifar10HasALabelBeforeEachImage) {
  const std::string first = cifar10_record(3, 'a') + cifar10_record(9, 'b');
  const std::vector<FileBytes> batches{in_memory("1", first), in_memory("2", cifar10_record(0, 'c'))};
  const ImageRecords records = parse_cifar10(batches);  // which refer to the batches' bytes
  EXPECT_THAT(records.labels, ElementsAre(3, 9, 0));
  ASSERT_EQ(records.parts.size(), 2U);
  EXPECT_EQ(records.parts[0].count, 2);
  EXPECT_EQ(records.parts[0].image_bytes(), 3072);
  EXPECT_EQ(records.parts[0].bytes[records.parts[0].stride], 'b');
  EXPECT_EQ(records.parts[1].bytes[0], 'c');
  EXPECT_THAT(error_of([&] { parse_cifar10({in_memory("x", first + "a")}); }), HasSubstr("x has 6147 bytes, no whole"));
  EXPECT_THAT(error_of([] { parse_cifar10({in_memory("x", "")}); }), HasSubstr("x has 0 bytes"));
  EXPECT_THAT(error_of([] { parse_cifar10({in_memory("x", cifar10_record(10, 'a'))}); }),
              HasSubstr("record 0 has the label 10, allowed: 0 to 9"));
}

TEST(ImageRecords, Stl10LabelsCountFromOne) {
  const std::string images(2 * kStl10Image, 'a');
  const FileBytes two = in_memory("X", images);
  const ImageRecords records = parse_stl10({{two, in_memory("y", "\x1\xa")}});
  EXPECT_THAT(records.labels, ElementsAre(0, 9));
  EXPECT_EQ(records.parts.at(0).count, 2);
  EXPECT_TRUE(records.parts[0].column_major);
  EXPECT_THAT(parse_stl10({{two, std::nullopt}}).labels, IsEmpty());
  EXPECT_THAT(error_of([&] { parse_stl10({{two, in_memory("y", "\1")}}); }), HasSubstr("y has 1 labels for 2 images"));
  EXPECT_THAT(error_of([&] {
                parse_stl10({{two, in_memory("y", std::string("\1\0", 2))}});
              }),
              HasSubstr("y has a label 0, allowed: 1 to 10"));
  EXPECT_THAT(error_of([&] {
                parse_stl10({{in_memory("X", images + "a"), std::nullopt}});
              }),
              HasSubstr("X has 55297 bytes, no whole number"));
}

}  // namespace
}  // namespace sgan
