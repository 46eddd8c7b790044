#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "configs/options.h"
#include "run/file_descriptor.h"

namespace sgan {

// A file's content, and its name for errors.
struct FileBytes {
  std::string name;
  std::span<const uint8_t> bytes;     // read-only
  std::shared_ptr<const void> owner;  // of the bytes; null where they live elsewhere
};

// Maps the file into memory. Throws UserError if it cannot be opened or is no ordinary file.
FileBytes map_file(const std::filesystem::path& path);
FileBytes map_file(const FileDescriptor& file);

// Throws UserError if there is nothing at the path, or if the options want a split of it although it is one file.
void require_whole(const DataOptions& options);

FileBytes hold_bytes(std::string name, std::vector<uint8_t> bytes);

// The first of `names` that exists in `folder`; empty if none does.
std::filesystem::path find_file(const std::filesystem::path& folder, const std::vector<std::string>& names);

// The lines of a file of class names, if it is there and has `count` of them that are not empty; otherwise nothing.
std::vector<std::string> read_class_names(const std::filesystem::path& path, size_t count);

}  // namespace sgan
