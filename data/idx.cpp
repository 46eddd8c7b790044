#include "data/idx.h"

#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/error.h"
#include "data/raw_images.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

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
  IdxContent content = parse_idx(files);
  Dataset result = convert_raw_images({content.images}, options, threads, progress, what, make_store);
  result.labels = std::move(content.labels);
  for (int64_t i = 0; i < content.classes; ++i) result.classes.push_back(std::to_string(i));
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
  return parse_idx_image_size(map_file(images_of(options)));
}

}  // namespace sgan
