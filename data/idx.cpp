#include "data/idx.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/error.h"
#include "data/archive_reader.h"
#include "data/limits.h"
#include "data/raw_images.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kImagesMagic = 0x803;  // bytes, in three dimensions
constexpr uint32_t kLabelsMagic = 0x801;  // bytes, in one
constexpr int64_t kImagesHeader = 16;
constexpr int64_t kLabelsHeader = 8;
constexpr int64_t kMaxSide = 4096;
constexpr int64_t kMaxBytes = 4096 * kMiB;

// The number at `at`; 0 beyond the file's end.
uint32_t number(const FileBytes& file, size_t at) {
  if (file.bytes.size() < at + 4) return 0;
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | file.bytes[at + i];
  return value;
}

FileBytes unpacked(const FileBytes& file) {
  const bool gzip = file.bytes.size() >= 2 && file.bytes[0] == 0x1f && file.bytes[1] == 0x8b;
  return gzip ? hold_bytes(file.name, decompress(file.bytes, file.name, kMaxBytes)) : file;
}

void require_magic(const FileBytes& file, uint32_t magic, const char* what) {
  if (number(file, 0) == magic) return;
  throw UserError(
      fmt::format("{} begins with {:#010x}, but an IDX file of {} begins with {:#010x}. Is it the right file?",
                  file.name, number(file, 0), what, magic));
}

void require_bytes(const FileBytes& file, int64_t bytes, const std::string& what) {
  if (std::ssize(file.bytes) == bytes) return;
  throw UserError(
      fmt::format("{} has {} bytes, but its header states {}, which are {} bytes. It is damaged; get it "
                  "again.",
                  file.name, file.bytes.size(), what, bytes));
}

RawImages parse_images(const FileBytes& file) {
  require_magic(file, kImagesMagic, "images");
  const int64_t count = number(file, 4);
  const int64_t height = number(file, 8);
  const int64_t width = number(file, 12);
  if (count < 1 || std::min(height, width) < 1 || std::max(height, width) > kMaxSide) {
    throw UserError(
        fmt::format("{} states {} images of {}x{}, allowed: 1 or more of 1 to {} pixels a side. It is "
                    "damaged; get it again.",
                    file.name, count, width, height, kMaxSide));
  }
  require_bytes(file, kImagesHeader + count * height * width, fmt::format("{} images of {}x{}", count, width, height));
  return {.bytes = file.bytes.subspan(kImagesHeader),
          .count = count,
          .stride = height * width,
          .channels = 1,
          .height = height,
          .width = width};
}

std::span<const uint8_t> parse_labels(const FileBytes& file, int64_t images) {
  require_magic(file, kLabelsMagic, "labels");
  const int64_t count = number(file, 4);
  require_bytes(file, kLabelsHeader + count, fmt::format("{} labels", count));
  if (count != images) {
    throw UserError(
        fmt::format("{} has {} labels for {} images. Use the two files of one data set.", file.name, count, images));
  }
  return file.bytes.subspan(kLabelsHeader);
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

Dataset read_idx(const FileBytes& images, const std::optional<FileBytes>& labels, const DataOptions& options,
                 int64_t threads, const LoadProgress& progress, const std::string& what) {
  const FileBytes content = unpacked(images);
  const RawImages raw = parse_images(content);
  std::vector<int64_t> numbers;
  if (labels) {
    const FileBytes label_content = unpacked(*labels);
    const auto bytes = parse_labels(label_content, raw.count);
    numbers.assign(bytes.begin(), bytes.end());
  }
  Dataset result = convert_raw_images({raw}, options, threads, progress, what);
  result.labels = std::move(numbers);
  if (!result.labels.empty()) {
    for (int64_t i = 0; i <= std::ranges::max(result.labels); ++i) result.classes.push_back(std::to_string(i));
  }
  return result;
}

std::vector<fs::path> idx_files(const DataOptions& options) {
  std::vector<fs::path> files = {images_of(options)};
  const fs::path labels = labels_beside(files.front());
  if (!labels.empty()) files.push_back(labels);
  return files;
}

Dataset load_idx(const DataOptions& options, int64_t threads, const LoadProgress& progress) {
  const std::vector<fs::path> files = idx_files(options);
  const auto labels = files.size() > 1 ? std::optional(map_file(files[1])) : std::nullopt;
  return read_idx(map_file(files[0]), labels, options, threads, progress, fmt::format("idx {}", files[0].string()));
}

}  // namespace sgan
