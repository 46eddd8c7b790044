#include "data/cache.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <cstring>
#include <map>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

#include <c10/util/accumulate.h>
#include <fmt/format.h>
#include <opencv2/core/version.hpp>

#include "configs/error.h"
#include "data/memory.h"
#include "data/sample_file.h"
#include "data/sample_writer.h"
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

// A safetensors file's header, and where its tensors lie.
class Reader {
 public:
  explicit Reader(const FileBytes& file) : file_(file) {
    uint64_t length = 0;
    if (file.bytes.size() < kLengthBytes) fail(file, "it is too short");
    std::memcpy(&length, file.bytes.data(), kLengthBytes);
    if (length > file.bytes.size() - kLengthBytes) fail(file, "its header is cut short");
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

  // The file's byte at which the tensor begins.
  uint64_t offset(const TensorEntry& entry) const { return file_.bytes.size() - data_.size() + entry.begin; }

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

// All of a cache file but the images.
TensorFile all_but_samples(const std::string& key, const Dataset& dataset) {
  const std::string names = pack_names(dataset.classes);
  const torch::Tensor classes = torch::empty({std::ssize(names)}, torch::kUInt8);
  if (!names.empty()) std::memcpy(classes.data_ptr(), names.data(), names.size());
  return {{{"labels", torch::tensor(dataset.labels, torch::kInt64)}, {"classes", classes}},
          {{"key", key},
           {"content_hash", dataset.content_hash},
           {"description", dataset.description},
           {"skipped", std::to_string(dataset.skipped)}}};
}

// The data set of a file that verify_tensors() has passed; the images stay where the file has them.
Dataset dataset_of(const FileBytes& file, const Reader& reader) {
  const TensorEntry& samples = reader.tensor("samples", "U8", 4);
  const TensorEntry& labels = reader.tensor("labels", "I64", 1);
  const TensorEntry& classes = reader.tensor("classes", "U8", 1);
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

void require_cache(const DataOptions& options) {
  if (options.memory != DataMemory::stream || !options.cache.empty()) return;
  throw UserError(
      "data.memory is stream, but data.cache is \"\", and images are streamed from a file there. Set data.cache to a "
      "folder, or data.memory to resident.",
      UserError::Kind::usage);
}

std::shared_ptr<SampleWriter> make_writer(const fs::path& path, const std::vector<int64_t>& shape) {
  const fs::path folder = path.parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw UserError(fmt::format(
        "the images are to be streamed from data.cache, but the folder {} cannot be made: {}. Set data.cache "
        "to another one, or data.memory to resident.",
        folder.string(), error.message()));
  }
  remove_abandoned_temporaries(folder);
  return std::make_shared<SampleWriter>(path, shape);
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

Manifest::Manifest(const DataOptions& options) : root_(options.path) {
  sha_.update(fmt::format("decoder {} OpenCV {} {}\n", kDecoderVersion, CV_VERSION, decoding(options)));
}

void Manifest::add(const fs::path& file) {
  struct stat status {};
  ::stat(file.c_str(), &status);  // of a link that leads nowhere nothing but zeros
  sha_.update(file.lexically_relative(root_).string());
  sha_.update(fmt::format("\n{} {}.{} {}.{} {}\n", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                          status.st_ctim.tv_sec, status.st_ctim.tv_nsec, status.st_ino));
}

void write_cache(const fs::path& path, const std::string& key, const Dataset& dataset) {
  TensorFile file = all_but_samples(key, dataset);
  file.tensors["samples"] = dataset.samples;
  save_tensors(path, file);
}

std::optional<Dataset> read_cache(const FileBytes& file, const std::string& key) {
  verify_tensors(as_text(file.bytes));
  const Reader reader(file);
  if (reader.metadata("key") != key) return std::nullopt;
  return dataset_of(file, reader);
}

std::optional<Dataset> stream_cache(const fs::path& path, const std::string& key, const LoadProgress& progress) {
  FileDescriptor input(path, O_RDONLY);
  const FileBytes mapped = map_file(input);
  const Reader reader(mapped);
  if (reader.metadata("key") != key) return std::nullopt;
  const TensorEntry& samples = reader.tensor("samples", "U8", 4);
  verify_tensors(input, in_images(progress, samples.shape[0]));
  Dataset result = dataset_of(mapped, reader);
  result.file = std::make_shared<SampleFile>(std::move(input), samples.shape, reader.offset(samples));
  return result;
}

Dataset load_cached(const DataOptions& options, const std::string& key,
                    const std::function<Dataset(const MakeStore&)>& load, const LoadProgress& progress) {
  require_cache(options);
  const fs::path path = cache_path(options);
  const auto cached = [&] {
    const auto bytes = static_cast<int64_t>(fs::file_size(path));
    return is_streamed(options.memory, bytes, machine_memory()) ? stream_cache(path, key, progress)
                                                                : read_cache(map_file(path), key);
  };
  std::string note;
  std::error_code error;
  if (!options.cache.empty() && fs::exists(path, error)) {
    try {
      if (auto found = cached()) {
        found->description += fmt::format("; {} the cache {}", found->file ? "streamed from" : "from", path.string());
        return std::move(*found);
      }
    } catch (const UserError&) {
      note = fmt::format("; the cache {} was damaged and is written anew", path.string());
    } catch (const fs::filesystem_error& problem) {
      note = fmt::format("; the cache could not be read: {}", problem.what());
    }
  }
  std::shared_ptr<SampleWriter> writer;
  Dataset result = load([&](const std::vector<int64_t>& shape) -> std::shared_ptr<SampleStore> {
    const bool in_memory =
        options.cache.empty() || !is_streamed(options.memory, c10::multiply_integers(shape), machine_memory());
    if (in_memory) return store_in_memory(shape);
    writer = make_writer(path, shape);
    return writer;
  });
  if (writer) {
    result.file = writer->file();
    result.content_hash = hash_samples(result, progress);
    writer->commit(all_but_samples(key, result), progress);
    result.description += fmt::format("; streamed from the cache {}", path.string()) + note;
    return result;
  }
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
