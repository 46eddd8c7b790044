#include "run/file_descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace sgan {
namespace {

std::string_view next_step(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return ". Free some space there, or choose a folder on another disk.";
    case EROFS:
      return ". The disk is mounted read-only: choose a folder on another one.";
    case EACCES:
    case EPERM:
      return ". Check who owns the folder and its permissions, or choose another folder.";
    case EFBIG:
      return ". A limit on file sizes is set (ulimit -f): raise it.";
    case EIO:
      return ". The disk fails: look at the system's log, and choose a folder on another disk.";
    default:
      return "";
  }
}

// Calls some(done), which is write(2) or read(2) after so many bytes and returns as they do, until `count` bytes are
// done or it returns 0. Returns how many are done.
template <class Some>
uint64_t repeat(uint64_t count, std::string_view action, const std::filesystem::path& path, const Some& some) {
  uint64_t done = 0;
  while (done < count) {
    const ssize_t more = some(done);
    if (more == 0) break;
    if (more > 0) {
      done += static_cast<uint64_t>(more);
    } else if (errno != EINTR) {
      throw file_error(action, path, errno);
    }
  }
  return done;
}

}  // namespace

FileError file_error(std::string_view action, const std::filesystem::path& path, int code) {
  return FileError(
      fmt::format("cannot {} {}: {}{}", action, path.string(), std::generic_category().message(code), next_step(code)),
      code);
}

FileDescriptor::FileDescriptor(const std::filesystem::path& path, int flags, mode_t mode)
    : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, mode)), path_(path) {
  if (descriptor_ < 0) throw file_error("open", path, errno);
}

FileDescriptor::FileDescriptor(const std::filesystem::path& path, int flags, const std::filesystem::path& shown)
    : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0666)), path_(shown) {
  if (descriptor_ < 0) throw file_error("open", path_, errno);
}

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool FileDescriptor::is_at(const std::filesystem::path& path) const {
  struct stat own {
  }, there{};
  if (descriptor_ < 0 || ::fstat(descriptor_, &own) != 0 || ::stat(path.c_str(), &there) != 0) return false;
  return own.st_dev == there.st_dev && own.st_ino == there.st_ino;
}

uint64_t FileDescriptor::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw file_error("read the size of", path_, errno);
  return static_cast<uint64_t>(status.st_size);
}

void FileDescriptor::write(std::string_view bytes) {
  repeat(bytes.size(), "write", path_,
         [&](uint64_t done) { return ::write(descriptor_, bytes.data() + done, bytes.size() - done); });
}

uint64_t FileDescriptor::read(void* target, uint64_t count) {
  return repeat(count, "read", path_,
                [&](uint64_t done) { return ::read(descriptor_, static_cast<char*>(target) + done, count - done); });
}

void FileDescriptor::write_at(std::string_view bytes, uint64_t offset) {
  repeat(bytes.size(), "write", path_, [&](uint64_t done) {
    return ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
  });
}

uint64_t FileDescriptor::read_at(void* target, uint64_t count, uint64_t offset) const {
  return repeat(count, "read", path_, [&](uint64_t done) {
    return ::pread(descriptor_, static_cast<char*>(target) + done, count - done, static_cast<off_t>(offset + done));
  });
}

void FileDescriptor::read_blocks(uint64_t begin, uint64_t end,
                                 const std::function<void(std::string_view block)>& take) const {
  constexpr uint64_t kBlock = uint64_t{1} << 20;
  std::string block(std::min(kBlock, end - begin), '\0');
  while (begin < end) {
    const uint64_t got = read_at(block.data(), std::min(kBlock, end - begin), begin);
    if (got == 0) return;
    take(std::string_view(block).substr(0, got));
    begin += got;
  }
}

void FileDescriptor::truncate(uint64_t bytes) {
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) throw file_error("truncate", path_, errno);
}

void FileDescriptor::sync() {
  // Some network file systems cannot sync a folder and say EINVAL; their rename is durable by itself.
  if (::fsync(descriptor_) != 0 && errno != EINVAL) throw file_error("sync", path_, errno);
}

}  // namespace sgan
