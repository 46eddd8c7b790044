#include "data/decode_image.h"

#include <algorithm>
#include <array>
#include <exception>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <webp/decode.h>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "data/image_size.h"

namespace sgan {
namespace {

constexpr int64_t kMaxPixels = kMaxMegapixels * 1'000'000;

// libjpeg only warns about a file that stops short and makes up the rest. The end marker cannot occur in the coded
// pixels, but an EXIF thumbnail, which comes before the frame header, has one of its own.
bool is_cut_short(std::span<const uint8_t> bytes, size_t header_end) {
  constexpr std::array<uint8_t, 2> kStart = {0xff, 0xd8};
  constexpr std::array<uint8_t, 2> kEnd = {0xff, 0xd9};
  if (bytes.size() <= header_end) return true;
  if (!std::ranges::equal(bytes.first(2), kStart)) return false;
  return std::search(bytes.begin() + static_cast<ptrdiff_t>(header_end), bytes.end(), kEnd.begin(), kEnd.end()) ==
         bytes.end();
}

// By libwebp itself: a WebP that OpenCV does not take for one goes on to the other decoders that Debian builds it with,
// GDAL's and DICOM's among them, which write files and end the process for damaged ones. The signatures of PNG, JPEG
// and BMP are looked at before those.
cv::Mat decode_webp(std::span<const uint8_t> bytes, int64_t channels, const ImageSize& size) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK || features.width != size.width ||
      features.height != size.height) {
    return {};
  }
  cv::Mat pixels(features.height, features.width, CV_8UC3);
  const int row = static_cast<int>(pixels.step[0]);
  if (WebPDecodeBGRInto(bytes.data(), bytes.size(), pixels.data, pixels.total() * pixels.elemSize(), row) == nullptr) {
    return {};
  }
  if (channels != 1) return pixels;
  cv::Mat grey;
  cv::cvtColor(pixels, grey, cv::COLOR_BGR2GRAY);
  return grey;
}

cv::Mat decode(std::span<const uint8_t> bytes, int64_t channels, const ImageHeader& header) {
  const int mode = channels == 1 ? cv::IMREAD_GRAYSCALE : channels == 3 ? cv::IMREAD_COLOR : cv::IMREAD_ANYCOLOR;
  if (is_cut_short(bytes, header.end)) return {};
  try {
    if (bytes[0] == 'R') return decode_webp(bytes, channels, header.size);
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8U, const_cast<uint8_t*>(bytes.data()));
    const cv::Mat pixels = cv::imdecode(raw, mode);
    const ImageSize size{pixels.cols, pixels.rows};
    const ImageSize turned{pixels.rows, pixels.cols};
    return size == header.size || turned == header.size ? pixels : cv::Mat();
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace

DecodedImage decode_image(std::span<const uint8_t> bytes, int64_t channels) {
  const std::optional<ImageHeader> header = read_image_header(bytes);
  if (!header) return {{}, "is not a PNG, JPEG, BMP or WebP image"};
  const auto [width, height] = header->size;
  if (width < 1 || height < 1) return {{}, "has no pixels"};
  if (height > kMaxPixels / width) {  // a few bytes can claim to be terabytes
    return {{}, fmt::format("is {}x{}, more than {} megapixels", width, height, kMaxMegapixels)};
  }
  cv::Mat pixels = decode(bytes, channels, *header);
  if (pixels.empty() || pixels.depth() != CV_8U) return {{}, "cannot be decoded"};
  return {std::move(pixels), ""};
}

cv::Mat fit_square(const cv::Mat& pixels, int64_t size) {
  const int side = std::min(pixels.cols, pixels.rows);
  const cv::Mat square = pixels(cv::Rect((pixels.cols - side) / 2, (pixels.rows - side) / 2, side, side));
  if (side == size) return square;
  cv::Mat scaled;
  const int wanted = static_cast<int>(size);
  cv::resize(square, scaled, {wanted, wanted}, 0, 0, wanted < side ? cv::INTER_AREA : cv::INTER_CUBIC);
  return scaled;
}

void store_planes(const cv::Mat& pixels, uint8_t* out) {
  const auto plane = [&](int c) { return cv::Mat(pixels.rows, pixels.cols, CV_8U, out + c * pixels.total()); };
  if (pixels.channels() == 1) {
    pixels.copyTo(plane(0));
  } else {
    std::array<cv::Mat, 3> blue_green_red = {plane(2), plane(1), plane(0)};
    cv::split(pixels, blue_green_red.data());
  }
}

}  // namespace sgan
