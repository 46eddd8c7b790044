#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <opencv2/core.hpp>

namespace sgan {

constexpr int64_t kMaxMegapixels = 64;

// What fit_square does, for descriptions.
constexpr std::string_view kResizing = "centre-cropped and scaled (area down, cubic up)";

struct DecodedImage {
  cv::Mat pixels;     // 8-bit, grey or BGR; empty after an error
  std::string error;  // why there are none: "is not a PNG, …", "cannot be decoded"; empty if all is well
};

// A PNG, JPEG, BMP or WebP image. channels: 1 converts to grey, 3 to colour, 0 keeps which of the two it is. 16-bit
// images become 8-bit, an alpha channel is dropped, an EXIF rotation is applied. Nothing above kMaxMegapixels is
// decoded. Throws nothing.
DecodedImage decode_image(std::span<const uint8_t> bytes, int64_t channels);

// The centre square, of the shorter side's length, scaled to (size, size): cv::INTER_AREA down, INTER_CUBIC up. Cut
// before it is scaled, so that a sliver of an image cannot become a giant on the way.
cv::Mat fit_square(const cv::Mat& pixels, int64_t size);

// Interleaved grey or BGR → planes (C, H, W), RGB, at `out`.
void store_planes(const cv::Mat& pixels, uint8_t* out);

}  // namespace sgan
