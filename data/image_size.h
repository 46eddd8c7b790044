#pragma once

#include <compare>
#include <cstdint>
#include <istream>
#include <optional>

namespace sgan {

struct ImageSize {
  int64_t width = 0;
  int64_t height = 0;
  auto operator<=>(const ImageSize&) const = default;
};

// The size that the header of a PNG, JPEG, BMP or WebP image states, before any EXIF rotation, read without decoding;
// nothing if the file is none of these or ends too soon. The content decides, not the file's name. Leaves `file` after
// what it has read, of a JPEG image the frame header.
std::optional<ImageSize> read_image_size(std::istream& file);

}  // namespace sgan
