#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "configs/error.h"

namespace sgan {

// The system refused to read or write a file, for example on a full or failing disk.
class FileError : public UserError {
 public:
  FileError(const std::string& text, int code) : UserError(text), code_(code) {}
  int code() const { return code_; }  // an errno

 private:
  int code_;
};

// "cannot <action> <path>: <the system's reason>", and what to do next where that is known. `code` is an errno.
FileError file_error(std::string_view action, const std::filesystem::path& path, int code);

// An open file, closed with the object. Every failure is thrown as a file_error.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  // Opens as open(2) does; child programs do not inherit it. shown: what errors call it, where that is not `path`.
  FileDescriptor(const std::filesystem::path& path, int flags, mode_t mode = 0666);
  FileDescriptor(const std::filesystem::path& path, int flags, const std::filesystem::path& shown);
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  int get() const { return descriptor_; }
  const std::filesystem::path& path() const { return path_; }

  // Whether it is open, and what is at `path` now.
  bool is_at(const std::filesystem::path& path) const;

  uint64_t size() const;
  // Writes all bytes, with one write(2) where the system takes them at once.
  void write(std::string_view bytes);
  // Reads up to `count` bytes, fewer only at the file's end; returns how many.
  uint64_t read(void* target, uint64_t count);
  // The same at `offset`, wherever the file stands. Several threads may do so at once.
  void write_at(std::string_view bytes, uint64_t offset);
  uint64_t read_at(void* target, uint64_t count, uint64_t offset) const;
  // Hands over the bytes from `begin` to `end`, at most 1 MiB of them at a time; fewer where the file ends before.
  void read_blocks(uint64_t begin, uint64_t end, const std::function<void(std::string_view block)>& take) const;
  void truncate(uint64_t bytes);
  // Returns when the content is on the disk.
  void sync();

 private:
  int descriptor_ = -1;
  std::filesystem::path path_;
};

}  // namespace sgan
