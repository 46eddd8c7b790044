#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "configs/options.h"
#include "data/dataset.h"
#include "data/file_bytes.h"

namespace sgan {

// What load() returns, with its content_hash, kept in a file of options.cache from which later calls map the images
// into memory as long as `files`, of which the data consist, are the same by manifest_key. A damaged cache is written
// anew, one that cannot be written is done without; the description says so.
Dataset load_cached(const DataOptions& options, const std::vector<std::filesystem::path>& files,
                    const std::function<Dataset()>& load);

// The file that load_cached uses: one for each path and way to decode it.
std::filesystem::path cache_path(const DataOptions& options);

// Changes with the files' names, sizes, inodes and times (of the content and of the inode, which nobody can set back),
// with the options that decide about pixels, and with the decoder.
std::string manifest_key(const DataOptions& options, const std::vector<std::filesystem::path>& files);

// A cache file is a safetensors file: samples, labels and classes, with all else as metadata.
void write_cache(const std::filesystem::path& path, const std::string& key, const Dataset& dataset);

// The data set of a cache file, its images where `file` has them; nothing if it was written under another key. The
// whole file is checked against its digest. Throws UserError if the file is damaged.
std::optional<Dataset> read_cache(const FileBytes& file, const std::string& key);

}  // namespace sgan
