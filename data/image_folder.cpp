#include "data/image_folder.h"

#include <algorithm>
#include <fstream>
#include <set>

#include <fmt/format.h>

#include "configs/error.h"
#include "data/limits.h"
#include "data/parallel.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

bool is_within(const fs::path& inner, const fs::path& outer) {
  return std::ranges::mismatch(outer, inner).in1 == outer.end();
}

// Why a link leads to no file; empty for all else.
std::string_view broken_link(const fs::directory_entry& entry) {
  std::error_code error;
  const fs::file_status target = entry.status(error);
  if (!entry.is_symlink() || fs::exists(target)) return "";
  return error == std::errc::too_many_symbolic_link_levels ? "is a link that leads round in a circle"
                                                           : "is a link to a file that is not there";
}

// Calls take(path, error) for each image file in `folder` and below; `error` says why it cannot be read.
template <class Take>
void walk(const fs::path& folder, const Take& take) {
  // A link to a folder of the tree, or to one above it, adds nothing, whichever of the two the walk meets first.
  const fs::path root = fs::canonical(folder);
  const auto leads_back = [&](const fs::directory_entry& entry) {
    if (!entry.is_symlink()) return false;
    const fs::path target = fs::canonical(entry.path());
    return is_within(target, root) || is_within(root, target);
  };
  std::set<fs::path> visited;  // a linked folder may hold links of its own, which could go round
  using Walk = fs::recursive_directory_iterator;
  for (Walk entry(folder, fs::directory_options::follow_directory_symlink); entry != Walk(); ++entry) {
    const std::string name = entry->path().filename().string();
    const bool is_image = !is_hidden(name) && has_image_ending(name);
    const std::string_view error = broken_link(*entry);
    if (!error.empty()) {
      entry.disable_recursion_pending();
      if (is_image) take(entry->path(), error);
      continue;
    }
    const bool enters = entry->is_directory() && !is_hidden(name) && !leads_back(*entry) &&
                        visited.insert(fs::canonical(entry->path())).second;
    if (!enters) entry.disable_recursion_pending();
    if (!is_image || entry->is_directory()) continue;
    if (!entry->is_regular_file()) {  // a pipe or a device could keep its reader waiting for ever
      throw UserError(fmt::format("data.path: {} is no ordinary file. Remove it.", entry->path().string()));
    }
    take(entry->path(), error);
  }
}

void require_folder(const fs::path& folder) {
  if (!fs::exists(folder)) {
    throw UserError(fmt::format("data.path: there is no folder {}. Correct the path.", folder.string()));
  }
  if (!fs::is_directory(folder)) {
    throw UserError(fmt::format(
        "data.path: {} is not a folder. Set it to a folder of images, or data.kind to archive, cifar10 or idx.",
        folder.string()));
  }
}

// The file's bytes; an error says why not.
std::string read_bytes(const fs::path& path, std::vector<uint8_t>& bytes) {
  std::error_code error;
  const auto size = static_cast<int64_t>(fs::file_size(path, error));
  std::ifstream file(path, std::ios::binary);
  if (error || !file.is_open()) return "cannot be opened";
  if (size > kMaxImageBytes) return too_many_image_bytes();
  bytes.resize(static_cast<size_t>(size));
  file.read(reinterpret_cast<char*>(bytes.data()), size);
  return file ? "" : "cannot be read";
}

}  // namespace

ImageFolder::ImageFolder(const fs::path& folder) : folder_(folder) {
  try {
    require_folder(folder);
    walk(folder, [&](const fs::path& path, std::string_view error) {
      images_.push_back({.name = path.lexically_relative(folder).string(), .error = error});
    });
  } catch (const fs::filesystem_error& error) {
    throw UserError(fmt::format("data.path: {} cannot be listed: {} ({}). Check its permissions and the links in it.",
                                folder.string(), error.path1().string(), error.code().message()));
  }
  if (images_.empty()) {
    throw UserError(fmt::format("data.path: {} and its sub-folders hold no images. Files that end in {} are read.",
                                folder.string(), image_endings()));
  }
  std::ranges::sort(images_, path_less, &SourceImage::name);
}

void ImageFolder::read(std::span<const int64_t> wanted, int64_t threads, const LoadProgress& progress,
                       const Consumer& consume) const {
  parallel_for(std::ssize(wanted), threads, progress, [&](int64_t i) {
    thread_local std::vector<uint8_t> bytes;
    const SourceImage& image = images_[wanted[i]];
    const std::string error = image.error.empty() ? read_bytes(folder_ / image.name, bytes) : std::string(image.error);
    consume(wanted[i], error.empty() ? std::span<const uint8_t>(bytes) : std::span<const uint8_t>(), error);
  });
}

}  // namespace sgan
