#include "data/digits.h"

#include <iterator>
#include <string_view>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>

#include "configs/error.h"

namespace sgan {
namespace {

constexpr int kSide = 8;
constexpr double kInk = 16.0;  // the largest value

constexpr std::string_view kImages[] = {
#include "data/digits_pixels.inc"
};
constexpr int64_t kTest = 360;
constexpr int64_t kTrain = static_cast<int64_t>(std::size(kImages)) - kTest;

// (size, size) uint8 in place of `image`.
void draw(std::string_view pixels, cv::Mat image) {
  cv::Mat_<float> original(kSide, kSide);
  for (int i = 0; i < kSide * kSide; ++i) original(i / kSide, i % kSide) = static_cast<float>(pixels[i] - 'a');

  const bool enlarge = image.rows != kSide;
  const int side = enlarge ? image.rows * 7 / 8 : kSide;
  const int margin = (image.rows - side) / 2;
  cv::Mat drawn = original;
  if (enlarge) cv::resize(original, drawn, {side, side}, 0, 0, cv::INTER_CUBIC);
  image.setTo(0);
  drawn.convertTo(image(cv::Rect(margin, margin, side, side)), CV_8U, 255.0 / kInk);  // rounds and clamps
}

Dataset load(int64_t size, int64_t first, int64_t count, std::string_view split) {
  if (size == 0) size = kSide;
  if (size != 8 && size != 16 && size != 32 && size != 64) {
    throw UserError(fmt::format("data.size is {}, but the digits come in sizes 8, 16, 32 and 64 (0 means 8). "
                                "Set data.size to one of these.",
                                size),
                    UserError::Kind::usage);
  }
  Dataset result;
  result.description = fmt::format("digits, {} split: {} grey images of {}x{}", split, count, size, size);
  for (char digit = '0'; digit <= '9'; ++digit) result.classes.emplace_back(1, digit);
  result.samples = torch::empty({count, 1, size, size}, torch::kUInt8);
  const int side = static_cast<int>(size);
  for (int64_t i = 0; i < count; ++i) {
    const std::string_view image = kImages[first + i];
    draw(image, cv::Mat(side, side, CV_8U, result.samples[i].data_ptr<uint8_t>()));
    result.labels.push_back(image.back() - '0');
  }
  return result;
}

}  // namespace

Dataset load_digits(int64_t size) {
  return load(size, 0, kTrain, "train");
}

Dataset load_digits_test(int64_t size) {
  return load(size, kTrain, kTest, "test");
}

}  // namespace sgan
