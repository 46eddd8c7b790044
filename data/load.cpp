#include "data/load.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/error.h"
#include "data/digits.h"
#include "data/image_folder.h"
#include "data/toys.h"

namespace sgan {
namespace {

using Loader = Dataset (*)(const DataOptions&, uint64_t seed, int64_t threads, const LoadProgress&);

Dataset digits(const DataOptions& options, uint64_t, int64_t, const LoadProgress&) {
  Dataset result = load_digits(options.size);
  if (options.channels == 3) result.samples = result.samples.repeat({1, 3, 1, 1});
  return result;
}

Dataset toy(const DataOptions& options, uint64_t seed, int64_t, const LoadProgress&) {
  return make_toy(options, seed);
}

Dataset folder(const DataOptions& options, uint64_t, int64_t threads, const LoadProgress& progress) {
  return load_image_folder(options, threads, progress);
}

struct Entry {
  DataKind kind;
  Loader load;
  std::vector<std::string_view> keys;  // what it uses of data.*, besides kind
};

const Entry& entry_of(DataKind kind) {
  static const std::vector<Entry> entries = {
      {DataKind::digits, digits, {"size", "channels", "flip"}},
      {DataKind::ring, toy, {"count", "modes", "std"}},
      {DataKind::grid, toy, {"count", "modes", "std"}},
      {DataKind::swiss_roll, toy, {"count", "std"}},
      {DataKind::folder, folder, {"path", "size", "channels", "flip", "on_error"}},
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
    {"path", is_set<&DataOptions::path>},         {"size", is_set<&DataOptions::size>},
    {"channels", is_set<&DataOptions::channels>}, {"flip", is_set<&DataOptions::flip>},
    {"on_error", is_set<&DataOptions::on_error>}, {"count", is_set<&DataOptions::count>},
    {"modes", is_set<&DataOptions::modes>},       {"std", is_set<&DataOptions::std>},
};

}  // namespace

Dataset load_dataset(const DataOptions& options, uint64_t seed, int64_t threads, const LoadProgress& progress) {
  const Entry& entry = entry_of(options.kind);
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
  return entry.load(options, seed, threads, progress);
}

}  // namespace sgan
