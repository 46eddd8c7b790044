#include "data/load.h"

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/error.h"
#include "data/cache.h"
#include "data/cifar10.h"
#include "data/digits.h"
#include "data/guess_kind.h"
#include "data/idx.h"
#include "data/image_archive.h"
#include "data/image_folder.h"
#include "data/load_images.h"
#include "data/stl10.h"
#include "data/toys.h"

namespace sgan {
namespace {

using Paths = std::vector<std::filesystem::path>;
using Keys = std::vector<std::string_view>;

Dataset digits(const DataOptions& options, uint64_t, int64_t, const LoadProgress&, const MakeStore&) {
  if (options.split == Split::unlabeled) {
    throw UserError("data.split is unlabeled, but all digits have labels. Set it to train, test or auto.",
                    UserError::Kind::usage);
  }
  Dataset result = options.split == Split::test ? load_digits_test(options.size) : load_digits(options.size);
  if (options.channels == 3) result.samples = result.samples.repeat({1, 3, 1, 1});
  return result;
}

Dataset toy(const DataOptions& options, uint64_t seed, int64_t, const LoadProgress&, const MakeStore&) {
  return make_toy(options, seed);
}

Dataset folder(const DataOptions& options, uint64_t, int64_t threads, const LoadProgress& progress,
               const MakeStore& make_store) {
  return load_images(ImageFolder(options.path), options, threads, progress, make_store);
}

// Path by path: a million of them at once would take much memory.
void list_folder(const DataOptions& options, Manifest& manifest) {
  const std::filesystem::path path = options.path;
  const ImageFolder folder(path);
  for (const SourceImage& image : folder.images()) manifest.add(path / image.name);
}

Dataset archive(const DataOptions& options, uint64_t, int64_t threads, const LoadProgress& progress,
                const MakeStore& make_store) {
  return load_images(ImageArchive(options.path), options, threads, progress, make_store);
}

Paths archive_paths(const DataOptions& options) {
  return archive_files(options.path);
}

template <Paths (*files)(const DataOptions&)>
void list(const DataOptions& options, Manifest& manifest) {
  for (const std::filesystem::path& file : files(options)) manifest.add(file);
}

// A loader that needs no seed, as an Entry has it.
template <Dataset (*load)(const DataOptions&, int64_t, const LoadProgress&, const MakeStore&)>
Dataset seedless(const DataOptions& options, uint64_t, int64_t threads, const LoadProgress& progress,
                 const MakeStore& make_store) {
  return load(options, threads, progress, make_store);
}

// Pixels of a format that fixes them, unless the options want others; 0 where it fixes nothing.
struct OwnShape {
  int64_t channels = 0;
  int64_t size = 0;
};

struct Entry {
  DataKind kind;
  Dataset (*load)(const DataOptions&, uint64_t seed, int64_t threads, const LoadProgress&, const MakeStore&);
  void (*list)(const DataOptions&, Manifest&);  // adds the files that it reads; null if it reads none
  OwnShape shape;
  Keys keys;  // what it uses of data.*, besides kind
};

const Entry& entry_of(DataKind kind) {
  static const Keys images = {"path", "split", "size", "channels", "flip", "on_error", "cache", "memory"};
  static const Keys binary = {"path", "split", "size", "channels", "flip", "cache", "memory"};
  static const std::vector<Entry> entries = {
      {DataKind::digits, digits, nullptr, {1, 8}, {"split", "size", "channels", "flip", "cache"}},
      {DataKind::ring, toy, nullptr, {}, {"count", "modes", "std"}},
      {DataKind::grid, toy, nullptr, {}, {"count", "modes", "std"}},
      {DataKind::swiss_roll, toy, nullptr, {}, {"count", "std"}},
      {DataKind::folder, folder, list_folder, {}, images},
      {DataKind::archive, archive, list<archive_paths>, {}, images},
      {DataKind::cifar10, seedless<load_cifar10>, list<cifar10_files>, {3, 32}, binary},
      {DataKind::idx, seedless<load_idx>, list<idx_files>, {1, 28}, binary},
      {DataKind::stl10, seedless<load_stl10>, list<stl10_files>, {3, 96}, binary},
      {DataKind::automatic, nullptr, nullptr, {}, images},  // becomes one of those that read files
  };
  const auto entry = std::ranges::find(entries, kind, &Entry::kind);
  if (entry == entries.end()) throw std::logic_error(fmt::format("no loader for data.kind {}", name_of(kind)));
  return *entry;
}

template <auto member>
bool is_set(const DataOptions& options) {
  return options.*member != DataOptions{}.*member;
}

struct Key {
  std::string_view name;
  bool (*is_set)(const DataOptions&);
};

constexpr Key kKeys[] = {
    {"path", is_set<&DataOptions::path>},   {"split", is_set<&DataOptions::split>},
    {"size", is_set<&DataOptions::size>},   {"channels", is_set<&DataOptions::channels>},
    {"flip", is_set<&DataOptions::flip>},   {"on_error", is_set<&DataOptions::on_error>},
    {"cache", is_set<&DataOptions::cache>}, {"memory", is_set<&DataOptions::memory>},
    {"count", is_set<&DataOptions::count>}, {"modes", is_set<&DataOptions::modes>},
    {"std", is_set<&DataOptions::std>},
};

void check_options(const DataOptions& options, const Entry& entry) {
  for (const Key& key : kKeys) {
    if (key.is_set(options) && std::ranges::find(entry.keys, key.name) == entry.keys.end()) {
      throw UserError(
          fmt::format("data.{} has no effect on data.kind: {}, which uses {}. Remove it, or set another kind.",
                      key.name, name_of(options.kind), fmt::join(entry.keys, ", ")),
          UserError::Kind::usage);
    }
  }
  if (options.channels != 0 && options.channels != 1 && options.channels != 3) {
    throw UserError(
        fmt::format("data.channels is {}. Set it to 1 (grey), 3 (RGB) or 0 (as the data are).", options.channels),
        UserError::Kind::usage);
  }
  if (reads_files(options.kind) && options.path.empty()) {
    throw UserError("data.path is empty. Set it to where the images are.", UserError::Kind::usage);
  }
}

}  // namespace

Dataset load_dataset(const DataOptions& options, uint64_t seed, int64_t threads, const LoadProgress& progress) {
  check_options(options, entry_of(options.kind));
  DataOptions resolved = options;
  if (options.kind == DataKind::automatic) resolved.kind = guess_kind(options.path);
  const Entry& entry = entry_of(resolved.kind);
  const auto load = [&](const MakeStore& make_store) {
    return entry.load(resolved, seed, threads, progress, make_store);
  };
  if (entry.list == nullptr) return load(store_in_memory);
  Manifest manifest(resolved);
  entry.list(resolved, manifest);
  return load_cached(resolved, manifest.key(), load, progress);
}

std::optional<std::vector<int64_t>> declared_sample_shape(const DataOptions& options) {
  if (is_planar(options.kind)) return std::vector<int64_t>{2};
  const OwnShape own = entry_of(options.kind).shape;
  const int64_t channels = options.channels != 0 ? options.channels : own.channels;
  const int64_t size = options.size != 0 ? options.size : own.size;
  if (channels == 0 || size == 0) return std::nullopt;
  return std::vector<int64_t>{channels, size, size};
}

}  // namespace sgan
