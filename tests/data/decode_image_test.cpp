#include "data/decode_image.h"

#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>

#include "tests/data/made_files.h"

namespace sgan {
namespace {

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Value 10 x + y, so that each pixel says where it was.
cv::Mat places(int width, int height) {
  cv::Mat image(height, width, CV_8U);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) image.at<uint8_t>(y, x) = static_cast<uint8_t>(10 * x + y);
  }
  return image;
}

TEST(FitSquare, CutsAroundTheCentre) {
  const cv::Mat wide = fit_square(places(8, 4), 4);
  ASSERT_EQ(wide.size(), cv::Size(4, 4));
  EXPECT_EQ(wide.at<uint8_t>(0, 0), 20);  // x from 2 to 5
  EXPECT_EQ(wide.at<uint8_t>(3, 3), 53);
  const cv::Mat tall = fit_square(places(4, 8), 4);
  EXPECT_EQ(tall.at<uint8_t>(0, 0), 2);  // y from 2 to 5
  EXPECT_EQ(tall.at<uint8_t>(3, 3), 35);
}

TEST(FitSquare, AveragesAreasOnTheWayDown) {
  const cv::Mat half = fit_square(places(8, 4), 2);
  EXPECT_EQ(half.at<uint8_t>(0, 0), 26);  // the mean of 20, 30, 21, 31 is 25.5
  EXPECT_EQ(half.at<uint8_t>(0, 1), 46);
  EXPECT_EQ(half.at<uint8_t>(1, 0), 28);
}

TEST(FitSquare, InterpolatesCubicallyOnTheWayUp) {
  cv::Mat edge(4, 4, CV_8U, cv::Scalar(0));
  edge.colRange(2, 4).setTo(200);
  const cv::Mat twice = fit_square(edge, 8);
  ASSERT_EQ(twice.size(), cv::Size(8, 8));
  EXPECT_GT(twice.at<uint8_t>(0, 5), 200);  // overshoots, which a linear ramp does not
  EXPECT_EQ(twice.at<uint8_t>(0, 0), 0);
}

TEST(FitSquare, ASliverNeverBecomesAGiant) {
  const cv::Mat sliver = fit_square(cv::Mat(1, 1'000'000, CV_8U, cv::Scalar(9)), 256);
  EXPECT_EQ(sliver.size(), cv::Size(256, 256));
  EXPECT_EQ(sliver.at<uint8_t>(255, 255), 9);
}

TEST(DecodeImage, SaysWhyItCannot) {
  EXPECT_EQ(decode_image(bytes_of("no image at all, but some text"), 0).error, "is not a PNG, JPEG, BMP or WebP image");
  const std::string png = grey_png(7);
  EXPECT_EQ(decode_image(bytes_of(png.substr(0, 40)), 0).error, "cannot be decoded");
  EXPECT_EQ(decode_image({}, 0).error, "is not a PNG, JPEG, BMP or WebP image");
  const DecodedImage good = decode_image(bytes_of(png), 3);
  EXPECT_EQ(good.error, "");
  EXPECT_EQ(good.pixels.at<cv::Vec3b>(7, 7), cv::Vec3b(7, 7, 7));
}

// As OpenCV decodes it.
TEST(DecodeImage, ReadsEveryKindOfWebp) {
  cv::Mat colour(6, 9, CV_8UC3);
  cv::randu(colour, 0, 256);
  cv::Mat alpha(6, 9, CV_8UC4);
  cv::randu(alpha, 0, 256);
  for (const int quality : {80, 101}) {  // 101: lossless
    for (const cv::Mat& pixels : {colour, alpha}) {
      std::vector<uint8_t> bytes;
      cv::imencode(".webp", pixels, bytes, {cv::IMWRITE_WEBP_QUALITY, quality});
      for (const auto& [channels, mode] :
           {std::pair{0, cv::IMREAD_ANYCOLOR}, {1, cv::IMREAD_GRAYSCALE}, {3, cv::IMREAD_COLOR}}) {
        const cv::Mat got = decode_image(bytes, channels).pixels;
        const cv::Mat expected = cv::imdecode(bytes, mode);
        ASSERT_EQ(got.size(), expected.size());
        ASSERT_EQ(got.channels(), channels == 1 ? 1 : 3);
        ASSERT_EQ(expected.type(), got.type());
        EXPECT_EQ(cv::norm(got, expected, cv::NORM_INF), 0.0) << quality << " " << channels;
      }
    }
  }
}

// Debian's OpenCV would hand these to the decoder of DICOM, whose assertion ends the process, and to GDAL. Found by
// fuzzing.
TEST(DecodeImage, OnlyTheFourFormatsAreDecoded) {
  const std::string damaged = std::string("RIFF\x9a\0\0\0WEBPVP8L", 16) + std::string(112, ' ');
  EXPECT_EQ(decode_image(bytes_of(damaged + "DICM\xff"), 3).error, "cannot be decoded");
  EXPECT_EQ(decode_image(bytes_of(damaged + std::string(300, ' ')), 3).error, "cannot be decoded");
}

// Exif orientation 6: to be turned right by a quarter, so that 8x4 becomes 4x8.
TEST(DecodeImage, TurnsAsExifSays) {
  const std::string exif(
      "\xff\xe1\x00\x22"
      "Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
      36);
  std::string jpeg = encode_image(".jpg", cv::Mat(4, 8, CV_8U, cv::Scalar(5)));
  jpeg.insert(2, exif);
  const DecodedImage turned = decode_image(bytes_of(jpeg), 3);
  EXPECT_EQ(turned.error, "");
  EXPECT_EQ(turned.pixels.size(), cv::Size(4, 8));
}

}  // namespace
}  // namespace sgan
