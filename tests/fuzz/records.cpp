// CIFAR-10 where the first byte is even: two batches, the first after its length in two bytes. STL-10 where it is odd:
// the labels' file, after its length, then the images'.

#include <algorithm>

#include "data/image_records.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sgan;
  if (size < 1) return 0;
  const bool is_stl10 = data[0] % 2 == 1;
  ++data;
  --size;
  const std::span<const uint8_t> first = take_part(data, size);
  const FileBytes front{"first", first, nullptr};
  const FileBytes rest{"second", {data, size}, nullptr};
  ImageRecords records;
  const bool accepted = accepts([&] {
    if (is_stl10) {
      records = parse_stl10({{rest, first.empty() ? std::nullopt : std::optional(front)}});
    } else {
      records = first.empty() ? parse_cifar10({rest}) : parse_cifar10({front, rest});
    }
  });
  if (!accepted) return 0;

  int64_t count = 0;
  unsigned sum = 0;
  for (const RawImages& part : records.parts) {
    require(part.count > 0 && std::ssize(part.bytes) >= (part.count - 1) * part.stride + part.image_bytes(),
            "the images lie within the file");
    for (int64_t i = 0; i < part.count; ++i) {  // for the address sanitizer
      sum += part.bytes[i * part.stride] + part.bytes[i * part.stride + part.image_bytes() - 1];
    }
    count += part.count;
  }
  require(sum <= static_cast<unsigned>(count) * 510, "bytes are bytes");
  require(std::ssize(records.labels) == count || (is_stl10 && records.labels.empty()), "a label an image");
  require(std::ranges::all_of(records.labels, [](int64_t label) { return label >= 0 && label < kRecordClasses; }),
          "labels are classes");
  return 0;
}
