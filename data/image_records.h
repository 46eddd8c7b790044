#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/file_bytes.h"

namespace sgan {

// What the files of CIFAR-10 and STL-10 hold. No torch header: foreign bytes are read here, and fuzzed.

// Unencoded 8-bit images at equal distances: the first at the beginning of `bytes`, planes one after another.
struct RawImages {
  std::span<const uint8_t> bytes;
  int64_t count = 0;
  int64_t stride = 0;  // bytes from one image to the next
  int64_t channels = 1;
  int64_t height = 0;
  int64_t width = 0;
  bool column_major = false;  // a plane's bytes go down its columns

  int64_t image_bytes() const { return channels * height * width; }
};

constexpr int64_t kCifar10Record = 1 + 3 * 32 * 32;  // bytes: a label and the pixels
constexpr int64_t kStl10Image = 3 * 96 * 96;
constexpr uint8_t kRecordClasses = 10;  // of either

struct Stl10Part {
  FileBytes images;
  std::optional<FileBytes> labels;
};

// Images that refer to the files' bytes, which must outlive them, and the labels: one an image, or fewer where some
// parts have none.
struct ImageRecords {
  std::vector<RawImages> parts;
  std::vector<int64_t> labels;
};

// Throws UserError for a file that is not whole records and for labels out of range.
ImageRecords parse_cifar10(const std::vector<FileBytes>& batches);

// Throws UserError for files that are not whole images, counts that differ and labels out of range.
ImageRecords parse_stl10(const std::vector<Stl10Part>& parts);

}  // namespace sgan
