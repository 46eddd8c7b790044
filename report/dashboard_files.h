#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sgan {

// What tells a file from its earlier self.
struct FileState {
  uint64_t inode = 0;
  uint64_t size = 0;        // bytes
  int64_t modified_ns = 0;  // since 1970
  bool is_folder = false;
  uint64_t device = 0;

  bool operator==(const FileState&) const = default;
};

// An open regular file.
class ContainedFile {
 public:
  explicit ContainedFile(int descriptor) : descriptor_(descriptor) {}
  ContainedFile(ContainedFile&& other) noexcept;
  ContainedFile& operator=(ContainedFile&& other) noexcept;
  ~ContainedFile();

  FileState state() const;
  // Up to `count` bytes from `offset`; fewer at the file's end, none where it cannot be read.
  std::string read(uint64_t offset, uint64_t count) const;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// The files below one folder. No path leads out of it: "..", absolute paths and symbolic links are all refused, by the
// kernel (openat2, Linux 5.6) or, where it has no such call, part by part. The folder itself may be reached by a link.
class ContainedFolder {
 public:
  struct Entry {
    std::string name;
    bool is_folder;
  };

  // Throws UserError where `root` is no folder that can be read. use_openat2: false takes the way of older kernels.
  explicit ContainedFolder(const std::filesystem::path& root, bool use_openat2 = true);
  ContainedFolder(const ContainedFolder&) = delete;
  ContainedFolder& operator=(const ContainedFolder&) = delete;
  ~ContainedFolder();

  const std::filesystem::path& root() const { return root_; }

  // Paths are relative to the root, "" being itself. Nothing where there is no such regular file below the root.
  std::optional<ContainedFile> open(const std::string& path) const;
  std::optional<FileState> state(const std::string& path) const;
  // All states with one look at the folder; nothing where a name is missing there.
  std::vector<std::optional<FileState>> states(const std::string& folder, const std::vector<std::string>& names) const;
  // Folders and regular files, by name. Nothing where there is no such folder.
  std::vector<Entry> list(const std::string& folder) const;
  // At most `limit` bytes of the file's beginning; nothing where there is no such file.
  std::optional<std::string> read(const std::string& path, uint64_t limit) const;

 private:
  int open_beneath(const std::string& path, int flags) const;
  int open_by_parts(const std::string& path, int flags) const;

  std::filesystem::path root_;
  int descriptor_;
  bool use_openat2_;
};

// A file of a run's subfolder: step-<step><rest>, for example step-00001000.png.
struct StepFile {
  int64_t step;
  std::string name;
  std::string rest;  // what follows the digits, without the suffix asked for
};
// Those that end with `suffix`, by step and name.
std::vector<StepFile> step_files(const ContainedFolder& files, const std::string& folder, std::string_view suffix);

// "a" and "b" as "a/b"; "b" where a is "".
std::string joined(const std::string& folder, const std::string& name);

}  // namespace sgan
