#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "configs/options.h"
#include "data/dataset.h"
#include "data/file_bytes.h"
#include "data/sample_store.h"
#include "run/sha256.h"

namespace sgan {

// Of which files data consist and how they are decoded.
class Manifest {
 public:
  explicit Manifest(const DataOptions& options);

  void add(const std::filesystem::path& file);
  // Changes with the files' names, sizes, inodes and times (of the content and of the inode, which nobody can set
  // back), with the options that decide about pixels, and with the decoder. Ends the manifest.
  std::string key() { return sha_.hex(); }

 private:
  std::filesystem::path root_;
  Sha256 sha_;
};

// What load() returns, with its content_hash, kept in a file of options.cache, from which later calls take it as long
// as `key`, of a manifest, is the same. options.memory decides whether the images are mapped into memory or streamed:
// load() is then given a store that is the file itself. A damaged cache is written anew. One that cannot be written is
// done without, unless images are to be streamed from it: then it is a UserError. The description tells.
Dataset load_cached(const DataOptions& options, const std::string& key,
                    const std::function<Dataset(const MakeStore&)>& load, const LoadProgress& progress = {});

// The file that load_cached uses: one for each path and way to decode it.
std::filesystem::path cache_path(const DataOptions& options);

// A cache file is a safetensors file: samples, labels and classes, with all else as metadata.
void write_cache(const std::filesystem::path& path, const std::string& key, const Dataset& dataset);

// The data set of a cache file, its images where `file` has them; nothing if it was written under another key. The
// whole file is checked against its digest. Throws UserError if the file is damaged.
std::optional<Dataset> read_cache(const FileBytes& file, const std::string& key);

// The same with the images left in the file, from which they are to be streamed. Reads it once, and with little memory.
std::optional<Dataset> stream_cache(const std::filesystem::path& path, const std::string& key,
                                    const LoadProgress& progress);

}  // namespace sgan
