#include "data/file_bytes.h"

#include <cerrno>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include "configs/error.h"

namespace sgan {

FileBytes map_file(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) {
    throw UserError(fmt::format("{} is no ordinary file. Give the path of one.", path.string()));
  }
  return map_file(FileDescriptor(path, O_RDONLY));
}

FileBytes map_file(const FileDescriptor& file) {
  const size_t size = file.size();
  const std::string name = file.path().string();
  if (size == 0) return {name, {}, nullptr};
  void* start = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (start == MAP_FAILED) throw file_error("map", file.path(), errno);
  return {name,
          {static_cast<const uint8_t*>(start), size},
          std::shared_ptr<const void>(start, [start, size](const void*) { ::munmap(start, size); })};
}

FileBytes hold_bytes(std::string name, std::vector<uint8_t> bytes) {
  const auto owner = std::make_shared<const std::vector<uint8_t>>(std::move(bytes));
  return {std::move(name), *owner, owner};
}

std::filesystem::path find_file(const std::filesystem::path& folder, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::error_code error;
    if (std::filesystem::exists(folder / name, error)) return folder / name;
  }
  return {};
}

std::vector<std::string> read_class_names(const std::filesystem::path& path, size_t count) {
  std::vector<std::string> names;
  std::ifstream file(path);
  for (std::string line; names.size() <= count && std::getline(file, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  return names.size() == count ? names : std::vector<std::string>{};
}

}  // namespace sgan
