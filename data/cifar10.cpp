#include "data/cifar10.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "configs/error.h"
#include "data/archive_reader.h"
#include "data/image_records.h"
#include "data/limits.h"
#include "data/printable_name.h"
#include "data/raw_images.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "cifar-10-batches-bin";
constexpr const char* kClassNames = "batches.meta.txt";

std::vector<std::string> batch_names(Split split) {
  if (split == Split::unlabeled) {
    throw UserError("data.split is unlabeled, but all images of CIFAR-10 have labels. Set it to train, test or auto.",
                    UserError::Kind::usage);
  }
  if (split == Split::test) return {"test_batch.bin"};
  return {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"};
}

fs::path folder_of(const DataOptions& options) {
  const fs::path below = fs::path(options.path) / kFolder;
  return fs::is_directory(below) ? below : fs::path(options.path);
}

std::vector<FileBytes> read_archive(const fs::path& path, const std::vector<std::string>& names) {
  std::vector<FileBytes> batches(names.size());
  ArchiveReader reader(path);
  while (const std::optional<ArchiveEntry> entry = reader.next()) {
    const auto found = std::ranges::find(names, fs::path(entry->name).filename().string());
    if (found == names.end() || !entry->file) continue;
    const std::string name = fmt::format("{}: {}", path.string(), printable_name(entry->name));
    auto bytes = reader.read(kMaxImageBytes);
    if (!bytes) throw UserError(fmt::format("{} {}.", name, too_many_image_bytes()));
    batches[found - names.begin()] = hold_bytes(name, std::move(*bytes));
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (!batches[i].name.empty()) continue;
    throw UserError(fmt::format("{} holds no {}. Is it cifar-10-binary.tar.gz?", path.string(), names[i]));
  }
  return batches;
}

std::vector<fs::path> batch_files(const DataOptions& options) {
  const std::vector<std::string> names = batch_names(options.split);
  const fs::path path = options.path;
  if (!fs::exists(path)) throw UserError(fmt::format("data.path: there is no {}. Correct the path.", path.string()));
  if (!fs::is_directory(path)) {
    if (!has_archive_ending(path) && options.split != Split::automatic) {
      throw UserError(fmt::format("data.split is {}, but data.path is one file, {}. Set data.split to auto, or "
                                  "data.path to the folder.",
                                  sgan::name_of(options.split), path.string()),
                      UserError::Kind::usage);
    }
    return {path};
  }
  std::vector<fs::path> files;
  for (const std::string& name : names) {
    files.push_back(folder_of(options) / name);
    if (!fs::exists(files.back())) {
      throw UserError(
          fmt::format("data.path: {} holds no {}. Set it to the folder of CIFAR-10's binary version, which "
                      "is {} in cifar-10-binary.tar.gz.",
                      folder_of(options).string(), name, kFolder));
    }
  }
  return files;
}

}  // namespace

Dataset read_cifar10(const std::vector<FileBytes>& batches, std::vector<std::string> classes,
                     const DataOptions& options, int64_t threads, const LoadProgress& progress, const std::string& what,
                     const MakeStore& make_store) {
  ImageRecords records = parse_cifar10(batches);
  Dataset result = convert_raw_images(records.parts, options, threads, progress, what, make_store);
  result.labels = std::move(records.labels);
  result.classes = std::move(classes);
  if (result.classes.empty()) {
    result.classes = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  }
  return result;
}

std::vector<fs::path> cifar10_files(const DataOptions& options) {
  std::vector<fs::path> files = batch_files(options);
  const fs::path names = files.front().parent_path() / kClassNames;
  if (!has_archive_ending(files.front()) && fs::exists(names)) files.push_back(names);
  return files;
}

Dataset load_cifar10(const DataOptions& options, int64_t threads, const LoadProgress& progress,
                     const MakeStore& make_store) {
  const std::vector<fs::path> files = batch_files(options);
  const bool archive = has_archive_ending(files.front());
  std::vector<FileBytes> batches;
  if (archive) {
    batches = read_archive(files.front(), batch_names(options.split));
  } else {
    for (const fs::path& file : files) batches.push_back(map_file(file));
  }
  const bool file = !archive && !fs::is_directory(options.path);
  const std::string split = file ? "" : options.split == Split::test ? ", test split" : ", train split";
  const fs::path folder = files.front().parent_path();
  return read_cifar10(batches,
                      archive ? std::vector<std::string>{} : read_class_names(folder / kClassNames, kRecordClasses),
                      options, threads, progress, fmt::format("cifar10 {}{}", options.path, split), make_store);
}

}  // namespace sgan
