// An archive of images: its names, its labels and its pixels, as training reads them.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "data/archive_reader.h"
#include "data/decode_image.h"
#include "data/image_archive.h"
#include "data/limits.h"
#include "tests/data/repair_checksums.h"
#include "tests/fuzz/fuzz.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// A tar header whose checksum is wrong hides all behind it, so every other mutation is given right ones.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 2 == 0) return size;
  const std::string repaired = sgan::with_tar_checksums(std::string(sgan::text_of(data, size)));
  std::memcpy(data, repaired.data(), size);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sgan;
  const std::span<const uint8_t> bytes(data, size);
  accepts([&] {
    const ImageArchive archive("archive", {[&] { return ArchiveReader(bytes, "archive"); }});
    const std::vector<SourceImage>& images = archive.images();
    require(!images.empty(), "an archive without images is refused");
    for (size_t i = 0; i < images.size(); ++i) {
      const std::string& name = images[i].name;
      require(std::ssize(name) <= kMaxNameBytes, "names have a limit");
      require(has_image_ending(name) && !is_hidden(name), "images are named as such");
      require(!name.starts_with('/') && ("/" + name + "/").find("/../") == name.npos, "no name leads out");
      require(i == 0 || !path_less(name, images[i - 1].name), "the names are in order");
      require(images[i].label >= -1 && images[i].label <= kMaxClass, "labels have a limit");
    }
    std::vector<int64_t> wanted(images.size());
    std::iota(wanted.begin(), wanted.end(), 0);
    int64_t delivered = 0;
    archive.read(wanted, 1, {}, [&](int64_t index, std::span<const uint8_t> image, std::string_view error) {
      ++delivered;
      require(index >= 0 && index < std::ssize(images), "an image of the list is delivered");
      require(std::ssize(image) <= kMaxImageBytes, "an image's bytes have a limit");
      require(error.empty() || image.empty(), "an image has bytes or an error");
      if (!error.empty()) return;
      const DecodedImage decoded = decode_image(image, 3);
      require(decoded.pixels.empty() != decoded.error.empty(), "an image has pixels or an error");
      if (!decoded.pixels.empty()) require(fit_square(decoded.pixels, 8).total() == 64, "it fits a square");
    });
    require(delivered == std::ssize(images), "each image is delivered once");
  });
  return 0;
}
