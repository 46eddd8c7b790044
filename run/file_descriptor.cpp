#include "run/file_descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
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
    default:
      return "";
  }
}

}  // namespace

UserError file_error(std::string_view action, const std::filesystem::path& path, int code) {
  return UserError(
      fmt::format("cannot {} {}: {}{}", action, path.string(), std::generic_category().message(code), next_step(code)));
}

FileDescriptor::FileDescriptor(const std::filesystem::path& path, int flags, mode_t mode)
    : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, mode)), path_(path) {
  if (descriptor_ < 0) throw file_error("open", path, errno);
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

uint64_t FileDescriptor::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw file_error("read the size of", path_, errno);
  return static_cast<uint64_t>(status.st_size);
}

void FileDescriptor::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR) {
      throw file_error("write", path_, errno);
    }
  }
}

uint64_t FileDescriptor::read(void* target, uint64_t count) {
  uint64_t done = 0;
  while (done < count) {
    const ssize_t got = ::read(descriptor_, static_cast<char*>(target) + done, count - done);
    if (got == 0) break;
    if (got > 0) {
      done += static_cast<uint64_t>(got);
    } else if (errno != EINTR) {
      throw file_error("read", path_, errno);
    }
  }
  return done;
}

void FileDescriptor::truncate(uint64_t bytes) {
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) throw file_error("truncate", path_, errno);
}

void FileDescriptor::sync() {
  // Some network file systems cannot sync a folder and say EINVAL; their rename is durable by itself.
  if (::fsync(descriptor_) != 0 && errno != EINVAL) throw file_error("sync", path_, errno);
}

}  // namespace sgan
