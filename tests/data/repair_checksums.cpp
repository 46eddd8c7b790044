#include "tests/data/repair_checksums.h"

#include <cstddef>
#include <cstdint>

#include <fmt/format.h>

#include "tests/data/made_files.h"

namespace sgan {
namespace {

// RFC 1950.
uint32_t adler32(std::string_view content) {
  uint32_t a = 1;
  uint32_t b = 0;
  for (const char c : content) {
    a = (a + static_cast<unsigned char>(c)) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

// What precedes the content of a zlib stream of one stored block: two bytes of header, the block's kind and its length
// of two bytes with their complement. The checksum follows the content.
constexpr std::string_view kStored = "\x78\x01\x01";
constexpr size_t kStoredHeader = 7;

}  // namespace

// POSIX ustar: the sum of a header's bytes, the sum's own field counted as blanks.
std::string with_tar_checksums(std::string text) {
  constexpr size_t kBlock = 512;
  for (size_t at = 0; at + kBlock <= text.size(); at += kBlock) {
    if (text.compare(at + 257, 5, "ustar") != 0) continue;
    text.replace(at + 148, 8, 8, ' ');
    unsigned sum = 0;
    for (size_t i = 0; i < kBlock; ++i) sum += static_cast<unsigned char>(text[at + i]);
    text.replace(at + 148, 7, fmt::format("{:06o}", sum) + '\0');
  }
  return text;
}

// PNG, annex D: each chunk is its length, type, data and the CRC-32 of the latter two. Pixels that are not compressed
// have a checksum of their own.
std::string with_png_checksums(std::string text) {
  for (size_t at = 8; at + 12 <= text.size();) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(text[at + i]);
    if (length > text.size() - at - 12) break;
    const size_t data = at + 8;
    if (length > kStoredHeader + 4 && text.compare(at + 4, 4, "IDAT") == 0 &&
        text.compare(data, kStored.size(), kStored) == 0) {
      const std::string_view content = std::string_view(text).substr(data + kStoredHeader, length - kStoredHeader - 4);
      text.replace(data + length - 4, 4, big_endian(adler32(content)));
    }
    uint32_t crc = ~0U;
    for (size_t i = at + 4; i < at + 8 + length; ++i) {
      crc ^= static_cast<unsigned char>(text[i]);
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0xedb88320 & (0 - (crc & 1)));
    }
    text.replace(at + 8 + length, 4, big_endian(~crc));
    at += 12 + length;
  }
  return text;
}

std::string zlib_stored(const std::string& content) {
  const auto low = static_cast<char>(content.size() & 0xff);
  const auto high = static_cast<char>(content.size() >> 8);
  return std::string(kStored) + low + high + static_cast<char>(~low) + static_cast<char>(~high) + content +
         big_endian(adler32(content));
}

}  // namespace sgan
