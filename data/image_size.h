#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace sgan {

struct ImageSize {
  int64_t width = 0;
  int64_t height = 0;
  auto operator<=>(const ImageSize&) const = default;
};

struct ImageHeader {
  ImageSize size;  // before any EXIF rotation
  size_t end = 0;  // where reading stopped; of a JPEG image the end of the frame header
};

// What the header of a PNG, JPEG, BMP or WebP image states, read without decoding; nothing if the bytes are none of
// these or end too soon. The content decides, not a file's name.
std::optional<ImageHeader> read_image_header(std::span<const uint8_t> bytes);

}  // namespace sgan
