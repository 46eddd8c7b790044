// The labels' file, after its length in two bytes, then the images' file. Without labels where the length is 0.

#include <algorithm>

#include "data/idx_format.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sgan;
  const std::span<const uint8_t> labels = take_part(data, size);
  IdxFiles files{.images = {"images", {data, size}, nullptr}, .labels = {}, .other_labels = {}};
  if (!labels.empty()) files.labels = files.other_labels = FileBytes{"labels", labels, nullptr};
  IdxContent content;
  if (!accepts([&] { content = parse_idx(files); })) return 0;

  const RawImages& images = content.images;
  require(images.count > 0 && images.image_bytes() > 0, "there are images");
  require(std::ssize(images.bytes) == images.count * images.stride && images.stride == images.image_bytes(),
          "the bytes are those of the images");
  // What follows deflate's best ratio from the file's own size is all that may be held.
  require(std::ssize(images.bytes) <= 1032 * (static_cast<int64_t>(size) + 1), "no more is held than is stated");
  require(content.labels.size() == (labels.empty() ? 0 : static_cast<size_t>(images.count)), "a label an image");
  for (const int64_t label : content.labels) require(label >= 0 && label < content.classes, "labels are classes");
  const ImageSize stated = parse_idx_image_size(files.images);
  require(stated.width == images.width && stated.height == images.height, "the size is that of the header");
  return 0;
}
