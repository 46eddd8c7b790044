#include "data/image_records.h"

#include <fmt/format.h>

#include "configs/error.h"

namespace sgan {
namespace {

RawImages stl10_images(const FileBytes& file) {
  const int64_t size = std::ssize(file.bytes);
  if (size == 0 || size % kStl10Image != 0) {
    throw UserError(
        fmt::format("{} has {} bytes, no whole number of STL-10's images of {} bytes. It is cut short or not "
                    "of the binary version; get it again.",
                    file.name, size, kStl10Image));
  }
  return {.bytes = file.bytes,
          .count = size / kStl10Image,
          .stride = kStl10Image,
          .channels = 3,
          .height = 96,
          .width = 96,
          .column_major = true};
}

void append_stl10_labels(const FileBytes& file, int64_t images, std::vector<int64_t>& labels) {
  if (std::ssize(file.bytes) != images) {
    throw UserError(fmt::format("{} has {} labels for {} images. One of the two files is damaged; get them again.",
                                file.name, file.bytes.size(), images));
  }
  for (const uint8_t label : file.bytes) {
    if (label < 1 || label > kRecordClasses) {
      throw UserError(fmt::format("{} has a label {}, allowed: 1 to {}. The file is damaged; get it again.", file.name,
                                  label, kRecordClasses));
    }
    labels.push_back(label - 1);
  }
}

}  // namespace

ImageRecords parse_cifar10(const std::vector<FileBytes>& batches) {
  ImageRecords records;
  for (const FileBytes& batch : batches) {
    const int64_t size = std::ssize(batch.bytes);
    if (size == 0 || size % kCifar10Record != 0) {
      throw UserError(
          fmt::format("{} has {} bytes, no whole number of CIFAR-10's records of {} bytes. It is cut short or "
                      "not of the binary version; get it again.",
                      batch.name, size, kCifar10Record));
    }
    const int64_t count = size / kCifar10Record;
    for (int64_t i = 0; i < count; ++i) {
      const uint8_t label = batch.bytes[i * kCifar10Record];
      if (label >= kRecordClasses) {
        throw UserError(
            fmt::format("{}: record {} has the label {}, allowed: 0 to {}. The file is damaged or not "
                        "CIFAR-10's; get it again.",
                        batch.name, i, label, kRecordClasses - 1));
      }
      records.labels.push_back(label);
    }
    records.parts.push_back({.bytes = batch.bytes.subspan(1),
                             .count = count,
                             .stride = kCifar10Record,
                             .channels = 3,
                             .height = 32,
                             .width = 32});
  }
  return records;
}

ImageRecords parse_stl10(const std::vector<Stl10Part>& parts) {
  ImageRecords records;
  for (const Stl10Part& part : parts) {
    records.parts.push_back(stl10_images(part.images));
    if (part.labels) append_stl10_labels(*part.labels, records.parts.back().count, records.labels);
  }
  return records;
}

}  // namespace sgan
