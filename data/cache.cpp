#include "data/cache.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <cstring>
#include <map>
#include <string_view>
#include <utility>

#include <sys/stat.h>

#include <fmt/format.h>
#include <opencv2/core/version.hpp>

#include "configs/error.h"
#include "data/limits.h"
#include "run/atomic_file.h"
#include "run/safetensors.h"
#include "run/sha256.h"
#include "run/tensor_file.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr int kDecoderVersion = 3;  // to be raised when the same files become other pixels
constexpr uint64_t kLengthBytes = 8;

// The options that decide which pixels come out.
std::string decoding(const DataOptions& options) {
  return fmt::format("{} size={} channels={} split={} on_error={}", name_of(options.kind), options.size,
                     options.channels, name_of(options.split), name_of(options.on_error));
}

std::string_view as_text(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Each name after its length, since a folder's name may hold anything.
std::string pack_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += fmt::format("{}:{}", name.size(), name);
  return text;
}

std::vector<std::string> unpack_names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    size_t length = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), length);
    const auto begin = static_cast<size_t>(end - text.begin()) + 1;
    if (error != std::errc() || begin > text.size() || length > text.size() - begin) break;
    names.emplace_back(text.substr(begin, length));
    text.remove_prefix(begin + length);
  }
  return names;
}

[[noreturn]] void fail(const FileBytes& file, std::string_view why) {
  throw UserError(fmt::format("{} is no whole cache file: {}. Delete it.", file.name, why));
}

// A safetensors file's header, and where its tensors lie. The file is one that verify_tensors() has passed.
class Reader {
 public:
  explicit Reader(const FileBytes& file) : file_(file) {
    uint64_t length = 0;
    std::memcpy(&length, file.bytes.data(), kLengthBytes);
    data_ = file.bytes.subspan(kLengthBytes + length);
    header_ = parse_safetensors_header(as_text(file.bytes.subspan(kLengthBytes, length)), data_.size());
  }

  const std::string& metadata(const std::string& key) const {
    const auto found = header_.metadata.find(key);
    if (found == header_.metadata.end()) fail(file_, fmt::format("it has no {}", key));
    return found->second;
  }

  const TensorEntry& tensor(std::string_view name, std::string_view dtype, size_t dimensions) const {
    const auto found = std::ranges::find(header_.tensors, name, &TensorEntry::name);
    if (found == header_.tensors.end() || found->dtype != dtype || found->shape.size() != dimensions) {
      fail(file_, fmt::format("it has no {} of the right shape", name));
    }
    return *found;
  }

  std::span<const uint8_t> bytes(const TensorEntry& entry) const {
    return data_.subspan(entry.begin, entry.end - entry.begin);
  }

 private:
  const FileBytes& file_;
  std::span<const uint8_t> data_;
  SafetensorsHeader header_;
};

void check_shape(const FileBytes& file, const std::vector<int64_t>& samples, int64_t labels) {
  const bool images = samples[0] >= 1 && (samples[1] == 1 || samples[1] == 3) && samples[2] >= 1 && samples[3] >= 1;
  if (!images || (labels != 0 && labels != samples[0])) fail(file, "its tensors do not fit together");
}

}  // namespace

fs::path cache_path(const DataOptions& options) {
  constexpr size_t kStemLength = 40;
  constexpr size_t kHashLength = 16;
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(options.path, error);
  Sha256 sha;
  sha.update(decoding(options));
  sha.update((error ? fs::path(options.path) : canonical).string());
  std::string stem = canonical.filename().string().substr(0, kStemLength);
  std::ranges::replace_if(
      stem, [](unsigned char c) { return std::isalnum(c) == 0 && c != '-' && c != '_'; }, '-');
  return fs::path(options.cache) / fmt::format("{}-{}.safetensors", stem, sha.hex().substr(0, kHashLength));
}

std::string manifest_key(const DataOptions& options, const std::vector<fs::path>& files) {
  Sha256 sha;
  sha.update(fmt::format("decoder {} OpenCV {} {}\n", kDecoderVersion, CV_VERSION, decoding(options)));
  for (const fs::path& file : files) {
    struct stat status {};
    ::stat(file.c_str(), &status);  // of a link that leads nowhere nothing but zeros
    sha.update(file.lexically_relative(options.path).string());
    sha.update(fmt::format("\n{} {}.{} {}.{} {}\n", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                           status.st_ctim.tv_sec, status.st_ctim.tv_nsec, status.st_ino));
  }
  return sha.hex();
}

void write_cache(const fs::path& path, const std::string& key, const Dataset& dataset) {
  const torch::Tensor labels = torch::tensor(dataset.labels, torch::kInt64);
  const std::string names = pack_names(dataset.classes);
  const torch::Tensor classes = torch::empty({std::ssize(names)}, torch::kUInt8);
  if (!names.empty()) std::memcpy(classes.data_ptr(), names.data(), names.size());
  save_tensors(path, {{{"samples", dataset.samples}, {"labels", labels}, {"classes", classes}},
                      {{"key", key},
                       {"content_hash", dataset.content_hash},
                       {"description", dataset.description},
                       {"skipped", std::to_string(dataset.skipped)}}});
}

std::optional<Dataset> read_cache(const FileBytes& file, const std::string& key) {
  verify_tensors(as_text(file.bytes));
  const Reader reader(file);
  const TensorEntry& samples = reader.tensor("samples", "U8", 4);
  const TensorEntry& labels = reader.tensor("labels", "I64", 1);
  const TensorEntry& classes = reader.tensor("classes", "U8", 1);
  if (reader.metadata("key") != key) return std::nullopt;
  check_shape(file, samples.shape, labels.shape[0]);

  Dataset result{.description = reader.metadata("description"),
                 .samples = {},
                 .labels = std::vector<int64_t>(labels.shape[0]),
                 .classes = unpack_names(as_text(reader.bytes(classes))),
                 .modes = {},
                 .skipped = 0,
                 .content_hash = reader.metadata("content_hash")};
  const std::string& skipped = reader.metadata("skipped");
  std::from_chars(skipped.data(), skipped.data() + skipped.size(), result.skipped);
  if (!result.labels.empty()) std::memcpy(result.labels.data(), reader.bytes(labels).data(), labels.end - labels.begin);
  auto* pixels = const_cast<uint8_t*>(reader.bytes(samples).data());
  result.samples = torch::from_blob(
      pixels, samples.shape, [owner = file.owner](void*) {}, torch::kUInt8);
  return result;
}

Dataset load_cached(const DataOptions& options, const std::vector<fs::path>& files,
                    const std::function<Dataset()>& load) {
  const fs::path path = cache_path(options);
  const std::string key = manifest_key(options, files);
  const auto cached = [&] { return read_cache(map_file(path), key); };
  std::string note;
  std::error_code error;
  if (!options.cache.empty() && fs::exists(path, error)) {
    try {
      if (auto found = cached()) {
        found->description += fmt::format("; from the cache {}", path.string());
        return std::move(*found);
      }
    } catch (const UserError&) {
      note = fmt::format("; the cache {} was damaged and is written anew", path.string());
    }
  }
  Dataset result = load();
  result.content_hash = fingerprint(result);
  if (options.cache.empty()) return result;
  try {
    fs::create_directories(options.cache);
    remove_abandoned_temporaries(options.cache);
    write_cache(path, key, result);
    if (auto mapped = cached()) result = std::move(*mapped);  // pages of a file cost less than memory of one's own
  } catch (const fs::filesystem_error& problem) {
    note = fmt::format("; warning: not cached, {}", problem.what());
  } catch (const UserError& problem) {
    note = fmt::format("; warning: not cached, {}", problem.what());
  }
  result.description += note;
  return result;
}

}  // namespace sgan
