#include "data/image_size.h"

#include <cstdlib>
#include <string_view>

namespace sgan {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr size_t kFixedHeader = 30;  // enough for those of PNG, BMP and WebP

int64_t little(const uint8_t* bytes, int count) {
  int64_t value = 0;
  while (count-- > 0) value = value << 8 | bytes[count];
  return value;
}

int64_t big(const uint8_t* bytes, int count) {
  int64_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes[i];
  return value;
}

bool matches(Bytes bytes, size_t at, std::string_view text) {
  if (bytes.size() < at + text.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (bytes[at + i] != static_cast<uint8_t>(text[i])) return false;
  }
  return true;
}

// ITU T.81, annex B: segments follow one another until a frame header (SOF) states the size.
std::optional<ImageHeader> jpeg_header(Bytes bytes) {
  constexpr size_t kFrameHeader = 7;  // length, precision, height, width
  size_t at = 2;
  while (at < bytes.size() && bytes[at] == 0xff) {
    while (at < bytes.size() && bytes[at] == 0xff) ++at;  // fill bytes may precede a marker
    if (bytes.size() - at < 3) return std::nullopt;
    const int marker = bytes[at++];
    const auto length = static_cast<size_t>(big(&bytes[at], 2));
    const bool other_table = marker == 0xc4 || marker == 0xc8 || marker == 0xcc;
    if (marker >= 0xc0 && marker <= 0xcf && !other_table) {
      if (bytes.size() - at < kFrameHeader) return std::nullopt;
      return ImageHeader{{big(&bytes[at + 5], 2), big(&bytes[at + 3], 2)}, at + kFrameHeader};
    }
    if (length < 2 || bytes.size() - at < length) return std::nullopt;
    at += length;
  }
  return std::nullopt;
}

// RFC 9649: lossy, lossless and extended files state the size in different places.
std::optional<ImageSize> webp_size(Bytes head) {
  if (matches(head, 12, "VP8 ")) return ImageSize{little(&head[26], 2) & 0x3fff, little(&head[28], 2) & 0x3fff};
  if (matches(head, 12, "VP8L")) {
    const int64_t bits = little(&head[21], 4);
    return ImageSize{(bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1};
  }
  if (matches(head, 12, "VP8X")) return ImageSize{little(&head[24], 3) + 1, little(&head[27], 3) + 1};
  return std::nullopt;
}

std::optional<ImageSize> fixed_header(Bytes head) {
  if (matches(head, 0, "\x89PNG\r\n\x1a\n")) return ImageSize{big(&head[16], 4), big(&head[20], 4)};
  if (matches(head, 0, "RIFF") && matches(head, 8, "WEBP")) return webp_size(head);
  if (!matches(head, 0, "BM")) return std::nullopt;
  const bool os2 = little(&head[14], 4) == 12;
  if (os2) return ImageSize{little(&head[18], 2), little(&head[20], 2)};
  // Rows stored from the top have a negative height.
  const auto height = static_cast<int32_t>(little(&head[22], 4));
  return ImageSize{little(&head[18], 4), std::abs(static_cast<int64_t>(height))};
}

}  // namespace

std::optional<ImageHeader> read_image_header(Bytes bytes) {
  if (matches(bytes, 0, "\xff\xd8\xff")) return jpeg_header(bytes);
  if (bytes.size() < kFixedHeader) return std::nullopt;
  const std::optional<ImageSize> size = fixed_header(bytes.first(kFixedHeader));
  return size ? std::optional(ImageHeader{*size, kFixedHeader}) : std::nullopt;
}

}  // namespace sgan
