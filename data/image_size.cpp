#include "data/image_size.h"

#include <array>
#include <cstdlib>
#include <string_view>

namespace sgan {
namespace {

// Enough for the fixed headers of PNG, BMP and WebP.
using Head = std::array<unsigned char, 30>;

int64_t little(const unsigned char* bytes, int count) {
  int64_t value = 0;
  while (count-- > 0) value = value << 8 | bytes[count];
  return value;
}

int64_t big(const unsigned char* bytes, int count) {
  int64_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes[i];
  return value;
}

bool matches(const Head& head, size_t at, std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (head[at + i] != static_cast<unsigned char>(text[i])) return false;
  }
  return true;
}

// ITU T.81, annex B: segments follow one another until a frame header (SOF) states the size.
std::optional<ImageSize> jpeg_size(std::istream& file) {
  std::array<unsigned char, 5> bytes;
  const auto read = [&](std::streamsize count) {
    return bool(file.read(reinterpret_cast<char*>(bytes.data()), count));
  };
  file.clear();
  file.seekg(2);
  while (read(1)) {
    if (bytes[0] != 0xff) return std::nullopt;
    while (bytes[0] == 0xff) {  // fill bytes may precede a marker
      if (!read(1)) return std::nullopt;
    }
    const int marker = bytes[0];
    if (!read(2)) return std::nullopt;
    const int64_t length = big(bytes.data(), 2);
    const bool other_table = marker == 0xc4 || marker == 0xc8 || marker == 0xcc;
    if (marker >= 0xc0 && marker <= 0xcf && !other_table) {
      if (!read(5)) return std::nullopt;
      return ImageSize{big(&bytes[3], 2), big(&bytes[1], 2)};
    }
    if (length < 2) return std::nullopt;
    file.seekg(length - 2, std::ios::cur);
  }
  return std::nullopt;
}

// RFC 9649: lossy, lossless and extended files state the size in different places.
std::optional<ImageSize> webp_size(const Head& head) {
  if (matches(head, 12, "VP8 ")) return ImageSize{little(&head[26], 2) & 0x3fff, little(&head[28], 2) & 0x3fff};
  if (matches(head, 12, "VP8L")) {
    const int64_t bits = little(&head[21], 4);
    return ImageSize{(bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1};
  }
  if (matches(head, 12, "VP8X")) return ImageSize{little(&head[24], 3) + 1, little(&head[27], 3) + 1};
  return std::nullopt;
}

}  // namespace

std::optional<ImageSize> read_image_size(std::istream& file) {
  Head head{};
  file.read(reinterpret_cast<char*>(head.data()), head.size());
  if (matches(head, 0, "\xff\xd8\xff")) return jpeg_size(file);
  if (file.gcount() < static_cast<std::streamsize>(head.size())) return std::nullopt;
  if (matches(head, 0, "\x89PNG\r\n\x1a\n")) return ImageSize{big(&head[16], 4), big(&head[20], 4)};
  if (matches(head, 0, "RIFF") && matches(head, 8, "WEBP")) return webp_size(head);
  if (matches(head, 0, "BM")) {
    const bool os2 = little(&head[14], 4) == 12;
    if (os2) return ImageSize{little(&head[18], 2), little(&head[20], 2)};
    // Rows stored from the top have a negative height.
    const auto height = static_cast<int32_t>(little(&head[22], 4));
    return ImageSize{little(&head[18], 4), std::abs(static_cast<int64_t>(height))};
  }
  return std::nullopt;
}

}  // namespace sgan
