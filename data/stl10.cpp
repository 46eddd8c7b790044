#include "data/stl10.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/error.h"
#include "data/raw_images.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSide = 96;
constexpr int64_t kImage = 3 * kSide * kSide;
constexpr uint8_t kClasses = 10;
constexpr const char* kClassNames = "class_names.txt";

std::vector<std::string> parts_of(Split split) {
  if (split == Split::automatic) return {"train", "unlabeled"};
  return {std::string(name_of(split))};
}

fs::path folder_of(const DataOptions& options) {
  const fs::path below = fs::path(options.path) / "stl10_binary";
  return fs::is_directory(below) ? below : fs::path(options.path);
}

RawImages parse_images(const FileBytes& file) {
  const int64_t size = std::ssize(file.bytes);
  if (size == 0 || size % kImage != 0) {
    throw UserError(
        fmt::format("{} has {} bytes, no whole number of STL-10's images of {} bytes. It is cut short or not "
                    "of the binary version; get it again.",
                    file.name, size, kImage));
  }
  return {.bytes = file.bytes,
          .count = size / kImage,
          .stride = kImage,
          .channels = 3,
          .height = kSide,
          .width = kSide,
          .column_major = true};
}

void append_labels(const FileBytes& file, int64_t images, std::vector<int64_t>& labels) {
  if (std::ssize(file.bytes) != images) {
    throw UserError(fmt::format("{} has {} labels for {} images. One of the two files is damaged; get them again.",
                                file.name, file.bytes.size(), images));
  }
  for (const uint8_t label : file.bytes) {
    if (label < 1 || label > kClasses) {
      throw UserError(fmt::format("{} has a label {}, allowed: 1 to {}. The file is damaged; get it again.", file.name,
                                  label, kClasses));
    }
    labels.push_back(label - 1);
  }
}

std::vector<fs::path> part_files(const DataOptions& options) {
  const fs::path folder = folder_of(options);
  if (!fs::is_directory(folder)) {
    throw UserError(
        fmt::format("data.path: {} is no folder. Set it to the folder of STL-10's binary files; unpack "
                    "stl10_binary.tar.gz first.",
                    options.path));
  }
  std::vector<fs::path> files;
  for (const std::string& part : parts_of(options.split)) {
    files.push_back(folder / (part + "_X.bin"));
    if (part != "unlabeled") files.push_back(folder / (part + "_y.bin"));
  }
  for (const fs::path& file : files) {
    if (fs::exists(file)) continue;
    throw UserError(fmt::format("data.path: {} holds no {}. Set it to the folder of STL-10's binary files{}.",
                                folder.string(), file.filename().string(),
                                options.split == Split::automatic ? ", or data.split to train or test" : ""));
  }
  return files;
}

}  // namespace

Dataset read_stl10(const std::vector<Stl10Part>& parts, std::vector<std::string> classes, const DataOptions& options,
                   int64_t threads, const LoadProgress& progress, const std::string& what,
                   const MakeStore& make_store) {
  std::vector<RawImages> images;
  std::vector<int64_t> labels;
  for (const Stl10Part& part : parts) {
    images.push_back(parse_images(part.images));
    if (part.labels) append_labels(*part.labels, images.back().count, labels);
  }
  Dataset result = convert_raw_images(images, options, threads, progress, what, make_store);
  if (std::ssize(labels) != result.size()) {
    result.description += ", without labels, which not all have";
    return result;
  }
  result.labels = std::move(labels);
  result.classes = std::move(classes);
  if (result.classes.empty()) {
    result.classes = {"airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"};
  }
  return result;
}

std::vector<fs::path> stl10_files(const DataOptions& options) {
  std::vector<fs::path> files = part_files(options);
  const fs::path names = folder_of(options) / kClassNames;
  if (fs::exists(names)) files.push_back(names);
  return files;
}

Dataset load_stl10(const DataOptions& options, int64_t threads, const LoadProgress& progress,
                   const MakeStore& make_store) {
  std::vector<Stl10Part> parts;
  for (const fs::path& file : part_files(options)) {
    if (file.filename().string().ends_with("_X.bin")) {
      parts.push_back({map_file(file), std::nullopt});
    } else {
      parts.back().labels = map_file(file);
    }
  }
  return read_stl10(parts, read_class_names(folder_of(options) / kClassNames, kClasses), options, threads, progress,
                    fmt::format("stl10 {}, {} split", options.path, fmt::join(parts_of(options.split), " and ")),
                    make_store);
}

}  // namespace sgan
