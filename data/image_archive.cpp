#include "data/image_archive.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "configs/error.h"
#include "data/limits.h"
#include "data/parallel.h"
#include "data/printable_name.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxShards = 100'000;
constexpr int64_t kQueuedBytes = kMaxImageBytes;

// A number of at most nine digits at the front of `text`, which it is taken from; nothing if there is none.
std::optional<int64_t> take_number(std::string_view& text) {
  constexpr size_t kMaxDigits = 9;
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || digits > kMaxDigits) return std::nullopt;
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + digits, number);
  text.remove_prefix(digits);
  return number;
}

// "name-{000..009}.tar" → the ten names; numbers keep the width they are written with.
std::vector<fs::path> expand_range(const std::string& path) {
  const size_t open = path.find('{');
  std::string_view rest = std::string_view(path).substr(std::min(open, path.size() - 1) + 1);
  const auto first = take_number(rest);
  const bool dots = rest.starts_with("..");
  if (dots) rest.remove_prefix(2);
  const size_t before_last = rest.size();
  const auto last = take_number(rest);
  const size_t width = before_last - rest.size();
  if (open == path.npos || !first || !dots || !last || !rest.starts_with('}') ||
      rest.find_first_of("{}", 1) != rest.npos) {
    throw UserError(
        fmt::format("data.path: {} has braces, but not one range like name-{{000..009}}.tar. Correct it.", path),
        UserError::Kind::usage);
  }
  if (*first > *last || *last - *first >= kMaxShards) {
    throw UserError(fmt::format("data.path: {} is a range from {} to {}; it must ascend and name at most {} shards.",
                                path, *first, *last, kMaxShards),
                    UserError::Kind::usage);
  }
  std::vector<fs::path> files;
  for (int64_t i = *first; i <= *last; ++i) {
    files.emplace_back(fmt::format("{}{:0{}}{}", path.substr(0, open), i, width, rest.substr(1)));
  }
  return files;
}

std::vector<fs::path> shards_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (is_hidden(entry.path().filename().string())) continue;
    if (entry.path().extension() != ".tar") {
      throw UserError(
          fmt::format("data.path: the folder {} holds {}; a folder of shards holds .tar files alone. Set "
                      "data.path to an archive, or data.kind to folder.",
                      folder.string(), printable_name(entry.path().filename().string())));
    }
    files.push_back(entry.path());
  }
  std::ranges::sort(files);
  if (files.empty()) throw UserError(fmt::format("data.path: the folder {} holds no .tar files.", folder.string()));
  return files;
}

// WebDataset: what is before the first dot of the base name, with the folder.
std::string_view key_of(std::string_view name) {
  const size_t base = name.rfind('/') + 1;  // npos + 1 is 0
  return name.substr(0, name.find('.', base));
}

int64_t parse_label(const std::vector<uint8_t>& bytes, const std::string& name) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  int64_t label = -1;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), label);
  if (error != std::errc() || end != text.end() || label < 0 || label > kMaxClass) {
    throw UserError(
        fmt::format("{} should hold a label, a number from 0 to {}, but holds {} bytes that are none. "
                    "Correct the data set.",
                    name, kMaxClass, bytes.size()));
  }
  return label;
}

bool is_label(std::string_view name) {
  constexpr std::string_view kEnding = ".cls";
  return name.size() > kEnding.size() &&
         std::ranges::equal(name.substr(name.size() - kEnding.size()), kEnding,
                            [](unsigned char a, char b) { return std::tolower(a) == b; });
}

// The data set that a file of this name belongs to, and what to do with it; empty if it is none that is known.
std::string data_set_of(std::string_view name) {
  const std::string_view base = name.substr(name.rfind('/') + 1);
  if (base == "data_batch_1.bin") return "CIFAR-10's binary version: set data.kind to cifar10";
  if (base == "data_batch_1") {
    return "CIFAR-10's Python version, which is not read: get cifar-10-binary.tar.gz and set data.kind to cifar10";
  }
  if (base == "train_X.bin" || base == "test_X.bin") {
    return "STL-10's binary version: unpack it, set data.path to its folder and data.kind to stl10";
  }
  if (base.find("idx3-ubyte") != base.npos) {
    return "IDX images, as MNIST's are: unpack it, set data.path to its folder and data.kind to idx";
  }
  return "";
}

// What tells one version of a file from another.
struct Stamp {
  uintmax_t bytes = 0;
  fs::file_time_type changed;
  bool operator==(const Stamp&) const = default;
};

Stamp stamp_of(const fs::path& file) {
  return {fs::file_size(file), fs::last_write_time(file)};
}

[[noreturn]] void fail_changed(const std::string& path) {
  throw UserError(fmt::format("{} changed while it was read. Try again when nothing writes to it.", path));
}

}  // namespace

std::vector<fs::path> archive_files(const std::string& path) {
  if (fs::is_directory(path)) return shards_in(path);
  const bool is_range = path.find_first_of("{}") != path.npos && !fs::exists(path);
  std::vector<fs::path> files = is_range ? expand_range(path) : std::vector<fs::path>{path};
  for (const fs::path& file : files) {
    if (!fs::exists(file))
      throw UserError(fmt::format("data.path: there is no archive {}. Correct the path.", file.string()));
    if (!fs::is_regular_file(file)) throw UserError(fmt::format("data.path: {} is no ordinary file.", file.string()));
  }
  return files;
}

ImageArchive::ImageArchive(const std::string& path, std::vector<Open> archives)
    : path_(path), archives_(std::move(archives)) {
  list();
}

ImageArchive::ImageArchive(const std::string& path) : path_(path) {
  for (const fs::path& file : archive_files(path)) {
    archives_.emplace_back([file, stamp = stamp_of(file)] {
      ArchiveReader reader(file);
      if (stamp_of(file) != stamp) fail_changed(file.string());
      return reader;
    });
  }
  list();
}

void ImageArchive::require_limits(const Seen& seen) const {
  if (seen.entries > kMaxArchiveEntries) {
    throw UserError(
        fmt::format("{} has more than {} entries, the limit. Split the data set.", path_, kMaxArchiveEntries));
  }
  if (seen.names_bytes > kMaxNamesBytes) {
    throw UserError(fmt::format("{}: the names of its entries have more than {} MiB, the limit. Split the data set.",
                                path_, kMaxNamesBytes / kMiB));
  }
}

void ImageArchive::list_archive(size_t archive, Seen& seen) const {
  constexpr int64_t kMaxLabelBytes = 64;
  std::vector<Found> found;
  Labels labels;
  ArchiveReader reader = archives_[archive]();
  int64_t index = 0;
  for (std::optional<ArchiveEntry> entry; (entry = reader.next()); ++index) {
    ++seen.entries;
    seen.names_bytes += std::ssize(entry->name);
    require_limits(seen);
    if (is_hidden(entry->name) || entry->name.ends_with('/')) continue;
    if (has_image_ending(entry->name)) {
      const char* error = entry->file ? "" : "is a link or a device, not a file of the archive";
      found.push_back({{.name = entry->name, .error = error}, {archive, index}});
    } else if (entry->file && is_label(entry->name)) {
      const auto text = reader.read(kMaxLabelBytes).value_or(std::vector<uint8_t>{});
      labels[std::string(key_of(entry->name))] = parse_label(text, path_ + ": " + printable_name(entry->name));
    } else if (seen.data_set.empty()) {
      seen.data_set = data_set_of(entry->name);
    }
  }
  const auto name_of = [](const Found& one) -> const std::string& { return one.image.name; };
  const auto order = [&](const Found& one) { return std::pair<std::string_view, Place>(name_of(one), one.place); };
  std::ranges::sort(found, {}, order);  // in place: a stable sort would need memory for all names again
  const size_t first = seen.found.size();
  for (size_t i = 0; i < found.size(); ++i) {
    const bool replaced = i + 1 < found.size() && name_of(found[i]) == name_of(found[i + 1]);
    if (!replaced) seen.found.push_back(std::move(found[i]));
  }
  label_samples(std::span(seen.found).subspan(first), labels);
}

// Of KEY.jpg and KEY.seg.png, beside a KEY.cls, one is no image to imitate.
void ImageArchive::label_samples(std::span<Found> found, const Labels& labels) const {
  std::map<std::string_view, const std::string*> first_of_sample;
  for (Found& one : found) {
    SourceImage& image = one.image;
    const auto label = labels.find(key_of(image.name));
    if (label == labels.end()) continue;
    image.label = label->second;
    const auto [first, is_first] = first_of_sample.emplace(label->first, &image.name);
    if (is_first) continue;
    throw UserError(
        fmt::format("{} holds two images of one sample, {} and {}. Write the shards with one a sample, or unpack them "
                    "and set data.kind to folder.",
                    path_, printable_name(*first->second), printable_name(image.name)));
  }
}

void ImageArchive::list() {
  Seen seen;
  for (size_t archive = 0; archive < archives_.size(); ++archive) list_archive(archive, seen);
  if (seen.found.empty()) {
    throw UserError(fmt::format("{} holds no images. {}.", path_,
                                seen.data_set.empty() ? fmt::format("Files that end in {} are read", image_endings())
                                                      : "It looks like " + seen.data_set));
  }
  std::ranges::sort(seen.found, [](const Found& a, const Found& b) {
    return path_less(a.image.name, b.image.name) || (a.image.name == b.image.name && a.place < b.place);
  });
  images_.reserve(seen.found.size());
  places_.reserve(seen.found.size());
  for (Found& one : seen.found) {
    images_.push_back(std::move(one.image));
    places_.push_back(one.place);
  }
}

void ImageArchive::require_all_labelled(std::span<const int64_t> wanted) const {
  const auto labelled = [&](int64_t image) { return images_[image].label >= 0; };
  const auto without = std::ranges::find_if_not(wanted, labelled);
  if (without == wanted.end() || std::ranges::none_of(wanted, labelled)) return;
  throw UserError(
      fmt::format("{}: some images have a label (KEY.cls), but {} and perhaps others have none. Add or "
                  "remove labels, so that all images have one or none.",
                  path_, printable_name(images_[*without].name)));
}

void ImageArchive::read_archive(size_t archive, std::vector<int64_t>::const_iterator& next,
                                std::vector<int64_t>::const_iterator end,
                                const std::function<void(int64_t image, ArchiveReader& reader)>& take) const {
  ArchiveReader reader = archives_[archive]();
  for (int64_t index = 0; next != end && places_[*next].archive == archive; ++index) {
    const std::optional<ArchiveEntry> entry = reader.next();
    if (!entry) fail_changed(path_);
    if (places_[*next].entry != index) continue;
    if (entry->name != images_[*next].name) fail_changed(path_);
    take(*next++, reader);
  }
}

void ImageArchive::read(std::span<const int64_t> wanted, int64_t threads, const LoadProgress& progress,
                        const Consumer& consume) const {
  require_all_labelled(wanted);
  std::vector<int64_t> order(wanted.begin(), wanted.end());
  std::ranges::sort(order, {}, [&](int64_t image) { return places_[image]; });
  const auto total = std::ssize(order);
  WorkQueue queue(thread_count(threads), kQueuedBytes);
  int64_t done = 0;
  const auto take = [&](int64_t image, ArchiveReader& reader) {
    if (progress && ++done % 64 == 0) progress(done, total);
    if (!images_[image].error.empty()) return consume(image, {}, images_[image].error);
    auto bytes = reader.read(kMaxImageBytes);
    if (!bytes) return consume(image, {}, too_many_image_bytes());
    const int64_t size = std::ssize(*bytes);
    queue.add([image, &consume, bytes = std::move(*bytes)] { consume(image, bytes, ""); }, size + 1);
  };
  for (auto next = order.cbegin(); next != order.cend();)
    read_archive(places_[*next].archive, next, order.cend(), take);
  queue.finish();
  if (progress) progress(total, total);
}

}  // namespace sgan
