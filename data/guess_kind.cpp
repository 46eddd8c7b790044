#include "data/guess_kind.h"

#include <filesystem>

#include <fmt/format.h>

#include "configs/error.h"
#include "data/archive_reader.h"
#include "data/file_bytes.h"
#include "data/image_source.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

DataKind guess_folder(const fs::path& folder) {
  if (!find_file(folder, {"data_batch_1.bin", "test_batch.bin", "cifar-10-batches-bin"}).empty())
    return DataKind::cifar10;
  if (!find_file(folder, {"train_X.bin", "test_X.bin", "unlabeled_X.bin", "stl10_binary"}).empty())
    return DataKind::stl10;
  bool shards = false;
  bool others = false;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (is_hidden(name)) continue;
    if (name.find("idx3-ubyte") != name.npos) return DataKind::idx;
    (entry.path().extension() == ".tar" ? shards : others) = true;
  }
  return shards && !others ? DataKind::archive : DataKind::folder;
}

}  // namespace

DataKind guess_kind(const std::string& path) {
  if (!fs::exists(path) && path.find_first_of("{}") != path.npos) return DataKind::archive;
  if (!fs::exists(path))
    throw UserError(fmt::format("data.path: there is no file or folder {}. Correct the path.", path));
  if (fs::is_directory(path)) return guess_folder(path);
  const std::string name = fs::path(path).filename().string();
  if (name.starts_with("cifar-10-binary")) return DataKind::cifar10;
  if (name.starts_with("stl10_binary") || name.ends_with("_X.bin") || name.ends_with("_y.bin")) return DataKind::stl10;
  if (has_archive_ending(path)) return DataKind::archive;
  if (name.find("idx3") != name.npos) return DataKind::idx;
  if (name.ends_with(".bin")) return DataKind::cifar10;
  throw UserError(
      fmt::format("{} is no folder, and its name is none of an archive ({}), of IDX images (idx3) or of a "
                  "CIFAR-10 batch (.bin). Say what it is: data.kind.",
                  path, archive_endings()));
}

}  // namespace sgan
