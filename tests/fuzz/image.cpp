// How many channels are wanted, then a PNG, JPEG, BMP or WebP file.

#include <cstring>
#include <string>
#include <vector>

#include "data/decode_image.h"
#include "data/image_size.h"
#include "tests/data/repair_checksums.h"
#include "tests/fuzz/fuzz.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// A PNG chunk whose checksum is wrong is not decoded, so every other mutation is given right ones.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 2 == 0 || size < 2 || data[1] != 0x89) return size;
  const std::string repaired = sgan::with_png_checksums(std::string(sgan::text_of(data + 1, size - 1)));
  std::memcpy(data + 1, repaired.data(), size - 1);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sgan;
  if (size < 1) return 0;
  constexpr int64_t kWanted[] = {0, 1, 3};
  const int64_t channels = kWanted[data[0] % 3];
  const std::span<const uint8_t> bytes(data + 1, size - 1);
  const auto header = read_image_header(bytes);
  const DecodedImage image = decode_image(bytes, channels);
  require(image.pixels.empty() != image.error.empty(), "there are pixels or an error");
  if (image.pixels.empty()) return 0;

  const int64_t width = image.pixels.cols;
  const int64_t height = image.pixels.rows;
  require(header.has_value(), "what has no header is not decoded");
  require(width * height <= kMaxMegapixels * 1'000'000, "pixels have a limit");
  require((ImageSize{width, height} == header->size) || (ImageSize{height, width} == header->size),
          "the size is that of the header");
  require(image.pixels.depth() == CV_8U, "pixels are bytes");
  const int64_t got = image.pixels.channels();
  require(channels == 0 ? got == 1 || got == 3 : got == channels, "the channels are those that were wanted");
  const cv::Mat square = fit_square(image.pixels, 16);
  require(square.cols == 16 && square.rows == 16, "it fits a square");
  std::vector<uint8_t> planes(16 * 16 * static_cast<size_t>(got));
  store_planes(square, planes.data());
  return 0;
}
