#include "data/idx.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/error.h"
#include "data/byte_stream.h"
#include "data/memory.h"
#include "data/raw_images.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

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

// The spellings in use: "-idx3-ubyte" and ".idx3-ubyte", compressed or not.
std::vector<std::string> spellings(const std::string& stem, int dimensions) {
  std::vector<std::string> names;
  for (const char* separator : {"-", "."}) {
    for (const char* ending : {"", ".gz"}) {
      names.push_back(fmt::format("{}{}idx{}-ubyte{}", stem, separator, dimensions, ending));
    }
  }
  return names;
}

// "train-images-idx3-ubyte.gz" → the folder's file of the same labels, or nothing.
fs::path labels_beside(const fs::path& images) {
  const std::string name = images.filename().string();
  const size_t word = name.rfind("images");
  const size_t kind = name.find("idx3", word == name.npos ? 0 : word);
  if (word == name.npos || kind == name.npos) return {};
  return find_file(images.parent_path(), spellings(name.substr(0, word) + "labels", 1));
}

// "train-images-idx3-ubyte" → the labels of t10k and the other way round, if both splits' labels are there.
fs::path labels_of_other_split(const fs::path& images) {
  const std::string name = images.filename().string();
  if (labels_beside(images).empty()) return {};
  if (name.starts_with("train-images")) return find_file(images.parent_path(), spellings("t10k-labels", 1));
  if (name.starts_with("t10k-images")) return find_file(images.parent_path(), spellings("train-labels", 1));
  return {};
}

fs::path images_of(const DataOptions& options) {
  const fs::path path = options.path;
  if (!fs::exists(path)) throw UserError(fmt::format("data.path: there is no {}. Correct the path.", path.string()));
  if (options.split == Split::unlabeled) {
    throw UserError("data.split is unlabeled, which IDX files do not have. Set it to train, test or auto.",
                    UserError::Kind::usage);
  }
  if (!fs::is_directory(path)) {
    if (options.split == Split::automatic) return path;
    throw UserError(fmt::format("data.split is {}, but data.path is one file, {}. Set data.split to auto, or data.path "
                                "to the folder.",
                                name_of(options.split), path.string()),
                    UserError::Kind::usage);
  }
  const std::vector<std::string> names = spellings(options.split == Split::test ? "t10k-images" : "train-images", 3);
  const fs::path images = find_file(path, names);
  if (images.empty()) {
    throw UserError(fmt::format("data.path: {} holds none of {}. Set it to their folder or to a file of images.",
                                path.string(), fmt::join(names, ", ")));
  }
  return images;
}

}  // namespace

Dataset read_idx(const IdxFiles& files, const DataOptions& options, int64_t threads, const LoadProgress& progress,
                 const std::string& what, const MakeStore& make_store) {
  std::vector<int64_t> labels;
  int64_t classes = 0;
  if (files.labels) {
    labels = read_labels(*files.labels);
    for (const int64_t label : labels) classes = std::max(classes, label + 1);
    if (files.other_labels) {
      for (const int64_t label : read_labels(*files.other_labels)) classes = std::max(classes, label + 1);
    }
  }
  const FileBytes content = content_of(files.images, images_header, kImagesHeader);
  const Header header = images_header(content.bytes, content.name);
  if (files.labels && std::ssize(labels) != header.count) {
    throw UserError(fmt::format("{} has {} labels for {} images. Use the two files of one data set.",
                                files.labels->name, labels.size(), header.count));
  }
  const RawImages raw{.bytes = content.bytes.subspan(kImagesHeader),
                      .count = header.count,
                      .stride = header.height * header.width,
                      .channels = 1,
                      .height = header.height,
                      .width = header.width};
  Dataset result = convert_raw_images({raw}, options, threads, progress, what, make_store);
  result.labels = std::move(labels);
  for (int64_t i = 0; i < classes; ++i) result.classes.push_back(std::to_string(i));
  return result;
}

std::vector<fs::path> idx_files(const DataOptions& options) {
  std::vector<fs::path> files = {images_of(options)};
  for (const fs::path& labels : {labels_beside(files.front()), labels_of_other_split(files.front())}) {
    if (!labels.empty()) files.push_back(labels);
  }
  return files;
}

Dataset load_idx(const DataOptions& options, int64_t threads, const LoadProgress& progress,
                 const MakeStore& make_store) {
  const std::vector<fs::path> paths = idx_files(options);
  IdxFiles files{map_file(paths[0]), std::nullopt, std::nullopt};
  if (paths.size() > 1) files.labels = map_file(paths[1]);
  if (paths.size() > 2) files.other_labels = map_file(paths[2]);
  return read_idx(files, options, threads, progress, fmt::format("idx {}", paths[0].string()), make_store);
}

ImageSize idx_image_size(const DataOptions& options) {
  const FileBytes file = map_file(images_of(options));
  if (!is_gzip(file)) {
    const Header header = images_header(file.bytes, file.name);
    return {header.width, header.height};
  }
  Unpacker unpacker(file);
  const Header header = images_header(unpack_header(unpacker, kImagesHeader), file.name);
  return {header.width, header.height};
}

}  // namespace sgan
