#include "data/image_size.h"

#include <string>

#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>

namespace sgan {
namespace {

std::string encode(const std::string& ending, int width, int height, const std::vector<int>& parameters = {}) {
  cv::Mat image(height, width, CV_8UC3);
  cv::randu(image, 0, 256);
  std::vector<uint8_t> bytes;
  cv::imencode(ending, image, bytes, parameters);
  return {bytes.begin(), bytes.end()};
}

std::optional<ImageSize> size_of(const std::string& bytes) {
  const auto header = read_image_header({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  return header ? std::optional(header->size) : std::nullopt;
}

constexpr ImageSize kExpected{.width = 300, .height = 17};

TEST(ImageSize, ReadsTheHeadersOfAllFormats) {
  EXPECT_EQ(size_of(encode(".png", 300, 17)), kExpected);
  EXPECT_EQ(size_of(encode(".bmp", 300, 17)), kExpected);
  EXPECT_EQ(size_of(encode(".jpg", 300, 17)), kExpected);
  EXPECT_EQ(size_of(encode(".jpg", 300, 17, {cv::IMWRITE_JPEG_PROGRESSIVE, 1})), kExpected);
  EXPECT_EQ(size_of(encode(".webp", 300, 17, {cv::IMWRITE_WEBP_QUALITY, 80})), kExpected);
  EXPECT_EQ(size_of(encode(".webp", 300, 17, {cv::IMWRITE_WEBP_QUALITY, 101})), kExpected);  // lossless
}

TEST(ImageSize, ReadsExtendedWebp) {
  // Canvas sizes are stored less one, in 24 bits.
  const std::string bytes("RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x2b\x01\0\x10\0\0", 30);
  EXPECT_EQ(size_of(bytes), kExpected);
}

TEST(ImageSize, ReadsTopDownAndOs2Bitmaps) {
  std::string bytes = encode(".bmp", 300, 17);
  bytes.replace(22, 4, std::string("\xef\xff\xff\xff"));  // -17
  EXPECT_EQ(size_of(bytes), kExpected);
  bytes.replace(14, 8, std::string("\x0c\0\0\0\x2c\x01\x11\0", 8));
  EXPECT_EQ(size_of(bytes), kExpected);
}

TEST(ImageSize, SkipsJpegSegmentsAndFillBytes) {
  std::string bytes = encode(".jpg", 300, 17);
  const std::string comment = std::string("\xff\xfe\x01\x02", 4) + std::string(0x100, '\xc0');
  bytes.insert(2, comment + "\xff\xff");
  EXPECT_EQ(size_of(bytes), kExpected);
}

TEST(ImageSize, FindsNothingInOtherFiles) {
  EXPECT_FALSE(size_of(""));
  EXPECT_FALSE(size_of("GIF89a, and then whatever a GIF may have to say"));
  for (const std::string ending : {".png", ".bmp", ".jpg", ".webp"}) {
    EXPECT_FALSE(size_of(encode(ending, 300, 17).substr(0, 20))) << ending;
  }
  EXPECT_FALSE(size_of(std::string("\xff\xd8\xff\xe0\0\0", 6) + std::string(40, '\0')));  // a segment of no length
}

}  // namespace
}  // namespace sgan
