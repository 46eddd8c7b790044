// A library for LD_PRELOAD: a file system below one folder that fails at random, or that is full.
//
//   SGAN_FAULTS_UNDER  the folder, an absolute path; nothing else is touched
//   SGAN_FAULTS_ONLY   where set: a part of the path that a file must have to be touched
//   SGAN_FAULTS_RATE   how likely each call fails, 0 to 1
//   SGAN_FAULTS_SEED   which calls those are
//   SGAN_FAULTS_ERROR  where set: the errno of a call that fails; EIO or ENOSPC by chance without it
//   SGAN_FAULTS_BYTES  where set: how many bytes can be written; what is deleted makes no room
//
// It stands before open, write, pwrite, fsync, rename, ftruncate, posix_fallocate, unlink and mkdir of the C library. A
// write that fails may have taken a part of its bytes, as on real disks; one into room set aside takes them.

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace {

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

struct Settings {
  const char* under = std::getenv("SGAN_FAULTS_UNDER");
  const char* only = std::getenv("SGAN_FAULTS_ONLY");
  int error = static_cast<int>(number("SGAN_FAULTS_ERROR"));
  double rate = number("SGAN_FAULTS_RATE");
  uint64_t seed = static_cast<uint64_t>(number("SGAN_FAULTS_SEED"));
  bool limited = std::getenv("SGAN_FAULTS_BYTES") != nullptr;
  std::atomic<int64_t> room{static_cast<int64_t>(number("SGAN_FAULTS_BYTES"))};
  std::atomic<uint64_t> calls{0};

  static double number(const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? 0 : std::atof(text);
  }
};

Settings& settings() {
  static Settings instance;
  return instance;
}

// A number in [0, 1) that the seed and the call's number make (splitmix64).
double draw() {
  uint64_t z = settings().seed * 0x9e3779b97f4a7c15U + 0x632be59bd9b4e019U * ++settings().calls;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

bool is_below(const char* path) {
  const char* under = settings().under;
  if (under == nullptr || path == nullptr) return false;
  char absolute[2 * PATH_MAX];
  if (path[0] != '/') {
    if (getcwd(absolute, PATH_MAX) == nullptr) return false;
    std::strncat(absolute, "/", 2);
    std::strncat(absolute, path, PATH_MAX - 1);
    path = absolute;
  }
  const size_t length = std::strlen(under);
  if (std::strncmp(path, under, length) != 0 || (path[length] != '/' && path[length] != '\0')) return false;
  return settings().only == nullptr || std::strstr(path + length, settings().only) != nullptr;
}

bool is_below(int file) {
  char link[64];
  char path[PATH_MAX];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return false;
  path[length] = '\0';
  return is_below(path);
}

// True where a call on this file or path shall fail; errno then says why.
template <class Place>
bool fails(Place place) {
  const int before = errno;
  const bool fail = settings().rate > 0 && is_below(place) && draw() < settings().rate;
  errno = before;
  if (fail) errno = settings().error != 0 ? settings().error : draw() < 0.5 ? EIO : ENOSPC;
  return fail;
}

// The file that has room set aside.
std::atomic<ino_t> with_room{0};

bool has_room(int file) {
  struct stat status {};
  return with_room != 0 && fstat(file, &status) == 0 && status.st_ino == with_room;
}

// How many of `count` bytes a write to this file takes; -1 with errno where none.
ssize_t taken(int file, size_t count) {
  if (count == 0) return 0;
  if (settings().limited && is_below(file) && !has_room(file)) {
    const int64_t room = settings().room.fetch_sub(static_cast<int64_t>(count));
    if (room <= 0) {
      errno = ENOSPC;
      return -1;
    }
    if (room < static_cast<int64_t>(count)) return static_cast<ssize_t>(room);
  }
  // The write after a part of one fails: the disk is no better a moment later.
  static thread_local int fails_next = 0;  // an errno
  if (const int code = std::exchange(fails_next, 0); code != 0) {
    errno = code;
    return -1;
  }
  if (!fails(file)) return static_cast<ssize_t>(count);
  if (count == 1 || draw() < 0.5) return -1;
  fails_next = errno;
  return static_cast<ssize_t>(count / 2);
}

// Opening to read is not what this library is about, but folders are opened to sync them.
bool opens_to_write(int flags) {
  return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_DIRECTORY)) != 0;
}

}  // namespace

extern "C" {

#define SGAN_EXPORT __attribute__((visibility("default")))

#define SGAN_OPEN(name)                                                         \
  SGAN_EXPORT int name(const char* path, int flags, ...) {                      \
    static auto* real = next<int(const char*, int, ...)>(#name);                \
    mode_t mode = 0;                                                            \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                 \
      va_list arguments;                                                        \
      va_start(arguments, flags);                                               \
      mode = static_cast<mode_t>(va_arg(arguments, unsigned));                  \
      va_end(arguments);                                                        \
    }                                                                           \
    return opens_to_write(flags) && fails(path) ? -1 : real(path, flags, mode); \
  }
SGAN_OPEN(open)
SGAN_OPEN(open64)

SGAN_EXPORT ssize_t write(int file, const void* bytes, size_t count) {
  static auto* real = next<ssize_t(int, const void*, size_t)>("write");
  const ssize_t some = taken(file, count);
  return some < 0 ? -1 : real(file, bytes, static_cast<size_t>(some));
}

#define SGAN_PWRITE(name, offset_type)                                                      \
  SGAN_EXPORT ssize_t name(int file, const void* bytes, size_t count, offset_type offset) { \
    static auto* real = next<ssize_t(int, const void*, size_t, offset_type)>(#name);        \
    const ssize_t some = taken(file, count);                                                \
    return some < 0 ? -1 : real(file, bytes, static_cast<size_t>(some), offset);            \
  }
SGAN_PWRITE(pwrite, off_t)
SGAN_PWRITE(pwrite64, off64_t)

SGAN_EXPORT int posix_fallocate(int file, off_t offset, off_t length) {
  static auto* real = next<int(int, off_t, off_t)>("posix_fallocate");
  if (settings().limited && is_below(file)) {
    if (settings().room.fetch_sub(length) < length) return ENOSPC;
    struct stat status {};
    if (fstat(file, &status) == 0) with_room = status.st_ino;
  }
  return real(file, offset, length);
}

SGAN_EXPORT int fsync(int file) {
  static auto* real = next<int(int)>("fsync");
  return fails(file) ? -1 : real(file);
}

SGAN_EXPORT int ftruncate(int file, off_t length) {
  static auto* real = next<int(int, off_t)>("ftruncate");
  return fails(file) ? -1 : real(file, length);
}

SGAN_EXPORT int ftruncate64(int file, off64_t length) {
  static auto* real = next<int(int, off64_t)>("ftruncate64");
  return fails(file) ? -1 : real(file, length);
}

SGAN_EXPORT int rename(const char* from, const char* to) {
  static auto* real = next<int(const char*, const char*)>("rename");
  return fails(to) ? -1 : real(from, to);
}

SGAN_EXPORT int unlink(const char* path) {
  static auto* real = next<int(const char*)>("unlink");
  return fails(path) ? -1 : real(path);
}

SGAN_EXPORT int mkdir(const char* path, mode_t mode) {
  static auto* real = next<int(const char*, mode_t)>("mkdir");
  return fails(path) ? -1 : real(path, mode);
}

}  // extern "C"
