#include "data/idx_format.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "configs/error.h"
#include "data/byte_stream.h"
#include "data/memory.h"

namespace sgan {
namespace {

constexpr uint32_t kImagesMagic = 0x803;  // bytes, in three dimensions
constexpr uint32_t kLabelsMagic = 0x801;  // bytes, in one
constexpr int64_t kImagesHeader = 16;
constexpr int64_t kLabelsHeader = 8;
constexpr int64_t kMaxSide = 4096;
constexpr int64_t kMaxInflation = 1032;  // of deflate: what a byte of a gzip file becomes at most
constexpr int64_t kSpareClasses = 10;

struct Header {
  int64_t count = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t bytes = 0;  // of the whole file
  std::string what;   // "60000 images of 28x28"
};

// The number at `at`; 0 beyond the file's end.
uint32_t number(std::span<const uint8_t> bytes, size_t at) {
  if (bytes.size() < at + 4) return 0;
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | bytes[at + i];
  return value;
}

void require_magic(std::span<const uint8_t> bytes, const std::string& name, uint32_t magic, const char* what) {
  if (number(bytes, 0) == magic) return;
  throw UserError(
      fmt::format("{} begins with {:#010x}, but an IDX file of {} begins with {:#010x}. Is it the right file?", name,
                  number(bytes, 0), what, magic));
}

Header images_header(std::span<const uint8_t> bytes, const std::string& name) {
  require_magic(bytes, name, kImagesMagic, "images");
  Header header{.count = number(bytes, 4), .height = number(bytes, 8), .width = number(bytes, 12), .what = {}};
  if (header.count < 1 || std::min(header.height, header.width) < 1 ||
      std::max(header.height, header.width) > kMaxSide) {
    throw UserError(
        fmt::format("{} states {} images of {}x{}, allowed: 1 or more of 1 to {} pixels a side. It is "
                    "damaged; get it again.",
                    name, header.count, header.width, header.height, kMaxSide));
  }
  header.bytes = kImagesHeader + header.count * header.height * header.width;
  header.what = fmt::format("{} images of {}x{}", header.count, header.width, header.height);
  return header;
}

Header labels_header(std::span<const uint8_t> bytes, const std::string& name) {
  require_magic(bytes, name, kLabelsMagic, "labels");
  const int64_t count = number(bytes, 4);
  return {.count = count, .bytes = kLabelsHeader + count, .what = fmt::format("{} labels", count)};
}

using ReadHeader = Header (*)(std::span<const uint8_t> bytes, const std::string& name);

void require_bytes(const std::string& name, int64_t bytes, const Header& header, const char* problem = "has") {
  if (bytes == header.bytes) return;
  throw UserError(
      fmt::format("{} {} {} bytes, but its header states {}, which are {} bytes. It is damaged; get it again.", name,
                  problem, bytes, header.what, header.bytes));
}

// Unpacks a gzip file block by block, as far as it is asked to.
class Unpacker {
 public:
  explicit Unpacker(const FileBytes& file) : name_(file.name), stream_(file.bytes) {}

  // Appends a block to `bytes`, up to `limit` bytes in all; false at the end of the data.
  bool append(std::vector<uint8_t>& bytes, size_t limit) {
    if (left_.empty()) left_ = next();
    const auto part = left_.first(std::min(left_.size(), limit - bytes.size()));
    bytes.insert(bytes.end(), part.begin(), part.end());
    left_ = left_.subspan(part.size());
    return !part.empty();
  }

 private:
  std::span<const uint8_t> next() {
    try {
      return stream_.next();
    } catch (const UserError& error) {
      throw UserError(
          fmt::format("{} cannot be read: {}. Is it whole? Get it again or repair it.", name_, error.what()));
    }
  }

  std::string name_;
  ByteStream stream_;
  std::span<const uint8_t> left_;
};

bool is_gzip(const FileBytes& file) {
  return file.bytes.size() >= 2 && file.bytes[0] == 0x1f && file.bytes[1] == 0x8b;
}

std::vector<uint8_t> unpack_header(Unpacker& unpacker, int64_t bytes) {
  std::vector<uint8_t> header;
  while (std::ssize(header) < bytes && unpacker.append(header, static_cast<size_t>(bytes))) {
  }
  return header;
}

// A gzip file's content: no more of it is unpacked than its header states, and one byte to see that there is no more.
FileBytes unpack(const FileBytes& file, ReadHeader read_header, int64_t header_bytes) {
  Unpacker unpacker(file);
  std::vector<uint8_t> bytes = unpack_header(unpacker, header_bytes);
  const Header header = read_header(bytes, file.name);
  if (header.bytes / kMaxInflation > std::ssize(file.bytes)) {
    throw UserError(fmt::format("{} has {} bytes, too few for what its header states: {}. It is damaged; get it again.",
                                file.name, file.bytes.size(), header.what));
  }
  require_memory(header.bytes, fmt::format("the {} of {}", header.what, file.name));
  const size_t limit = static_cast<size_t>(header.bytes) + 1;
  bytes.reserve(limit);
  while (bytes.size() < limit && unpacker.append(bytes, limit)) {
  }
  require_bytes(file.name, std::ssize(bytes), header, bytes.size() == limit ? "unpacks to at least" : "unpacks to");
  return hold_bytes(file.name, std::move(bytes));
}

FileBytes content_of(const FileBytes& file, ReadHeader read_header, int64_t header_bytes) {
  if (is_gzip(file)) return unpack(file, read_header, header_bytes);
  require_bytes(file.name, std::ssize(file.bytes), read_header(file.bytes, file.name));
  return file;
}

// A single damaged byte would otherwise add up to 245 classes to MNIST's ten.
void require_plausible(const std::vector<int64_t>& labels, const std::string& name) {
  std::array<bool, 256> used{};
  for (const int64_t label : labels) used[label] = true;
  const int64_t different = std::ranges::count(used, true);
  const int64_t limit = 2 * different + kSpareClasses;
  const auto last = std::ranges::max_element(labels);
  if (last == labels.end() || *last < limit) return;
  throw UserError(
      fmt::format("{}: label {} is {}, but there are only {} different ones; allowed are 0 to {}, twice as many and "
                  "{}. The file is damaged (get it again), or its labels should be numbered from 0 without gaps.",
                  name, last - labels.begin(), *last, different, limit - 1, kSpareClasses));
}

std::vector<int64_t> read_labels(const FileBytes& file) {
  const FileBytes content = content_of(file, labels_header, kLabelsHeader);
  const auto bytes = content.bytes.subspan(kLabelsHeader);
  std::vector<int64_t> labels(bytes.begin(), bytes.end());
  require_plausible(labels, file.name);
  return labels;
}

}  // namespace

IdxContent parse_idx(const IdxFiles& files) {
  IdxContent content;
  if (files.labels) {
    content.labels = read_labels(*files.labels);
    for (const int64_t label : content.labels) content.classes = std::max(content.classes, label + 1);
    if (files.other_labels) {
      for (const int64_t label : read_labels(*files.other_labels)) {
        content.classes = std::max(content.classes, label + 1);
      }
    }
  }
  content.file = content_of(files.images, images_header, kImagesHeader);
  const Header header = images_header(content.file.bytes, content.file.name);
  if (files.labels && std::ssize(content.labels) != header.count) {
    throw UserError(fmt::format("{} has {} labels for {} images. Use the two files of one data set.",
                                files.labels->name, content.labels.size(), header.count));
  }
  content.images = {.bytes = content.file.bytes.subspan(kImagesHeader),
                    .count = header.count,
                    .stride = header.height * header.width,
                    .channels = 1,
                    .height = header.height,
                    .width = header.width};
  return content;
}

ImageSize parse_idx_image_size(const FileBytes& images) {
  if (!is_gzip(images)) {
    const Header header = images_header(images.bytes, images.name);
    return {header.width, header.height};
  }
  Unpacker unpacker(images);
  const Header header = images_header(unpack_header(unpacker, kImagesHeader), images.name);
  return {header.width, header.height};
}

}  // namespace sgan
