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

constexpr const char* kClassNames = "class_names.txt";

std::vector<std::string> parts_of(Split split) {
  if (split == Split::automatic) return {"train", "unlabeled"};
  return {std::string(name_of(split))};
}

fs::path folder_of(const DataOptions& options) {
  const fs::path below = fs::path(options.path) / "stl10_binary";
  return fs::is_directory(below) ? below : fs::path(options.path);
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
  ImageRecords records = parse_stl10(parts);
  Dataset result = convert_raw_images(records.parts, options, threads, progress, what, make_store);
  if (std::ssize(records.labels) != result.size()) {
    result.description += ", without labels, which not all have";
    return result;
  }
  result.labels = std::move(records.labels);
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
  return read_stl10(
      parts, read_class_names(folder_of(options) / kClassNames, kRecordClasses), options, threads, progress,
      fmt::format("stl10 {}, {} split", options.path, fmt::join(parts_of(options.split), " and ")), make_store);
}

}  // namespace sgan
