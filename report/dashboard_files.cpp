#include "report/dashboard_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "run/file_descriptor.h"
#include "run/step_name.h"

namespace sgan {
namespace {

// O_NONBLOCK: a named pipe in a run's place must not stop the server.
constexpr int kOpenFile = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;
constexpr int kOpenFolder = O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW;

FileState state_of(const struct stat& status) {
  return {.inode = status.st_ino,
          .size = static_cast<uint64_t>(status.st_size),
          .modified_ns = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec,
          .is_folder = S_ISDIR(status.st_mode),
          .device = status.st_dev};
}

bool is_shown(const struct stat& status) {
  return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode);
}

// Closes the descriptor with the scope.
class OpenFolder {
 public:
  explicit OpenFolder(int descriptor) : descriptor_(descriptor) {}
  OpenFolder& operator=(OpenFolder&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~OpenFolder() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

}  // namespace

ContainedFile::ContainedFile(ContainedFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

ContainedFile& ContainedFile::operator=(ContainedFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

ContainedFile::~ContainedFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileState ContainedFile::state() const {
  struct stat status = {};
  return ::fstat(descriptor_, &status) == 0 ? state_of(status) : FileState();
}

std::string ContainedFile::read(uint64_t offset, uint64_t count) const {
  const uint64_t size = state().size;
  if (offset >= size) return "";
  std::string bytes(std::min(count, size - offset), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got =
        ::pread(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (got > 0) {
      done += static_cast<size_t>(got);
    } else if (got == 0 || errno != EINTR) {
      break;
    }
  }
  bytes.resize(done);
  return bytes;
}

ContainedFolder::ContainedFolder(const std::filesystem::path& root, bool use_openat2)
    : root_(root), descriptor_(::open(root.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY)), use_openat2_(use_openat2) {
  if (descriptor_ >= 0) return;
  if (errno == ENOENT || errno == ENOTDIR) {
    throw UserError(fmt::format("there is no folder {}. Give the folder that holds the runs: `spectral-gan view DIR`.",
                                root.string()),
                    UserError::Kind::usage);
  }
  throw file_error("open", root, errno);
}

ContainedFolder::~ContainedFolder() {
  ::close(descriptor_);
}

int ContainedFolder::open_beneath(const std::string& path, int flags) const {
  if (path.find('\0') != path.npos) return -1;
  const std::string name = path.empty() ? "." : path;
  if (use_openat2_) {
    open_how how = {};
    how.flags = static_cast<uint64_t>(flags);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    const long opened = ::syscall(SYS_openat2, descriptor_, name.c_str(), &how, sizeof how);
    // Containers that do not know the call answer EPERM to it.
    if (opened >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(opened);
  }
  return open_by_parts(name, flags);
}

int ContainedFolder::open_by_parts(const std::string& path, int flags) const {
  OpenFolder folder(::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0));
  std::string_view rest = path;
  while (folder.get() >= 0) {
    const size_t slash = rest.find('/');
    const std::string part(rest.substr(0, slash));
    if (part == ".." || part.empty()) return -1;  // empty: an absolute path, or "a//b"
    if (slash == rest.npos) return ::openat(folder.get(), part.c_str(), flags);
    folder = OpenFolder(::openat(folder.get(), part.c_str(), kOpenFolder));
    rest.remove_prefix(slash + 1);
  }
  return -1;
}

std::optional<ContainedFile> ContainedFolder::open(const std::string& path) const {
  const int descriptor = open_beneath(path, kOpenFile);
  if (descriptor < 0) return std::nullopt;
  ContainedFile file(descriptor);
  struct stat status = {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return file;
}

std::optional<FileState> ContainedFolder::state(const std::string& path) const {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "" : path.substr(0, slash);
  return states(folder, {path.substr(slash == path.npos ? 0 : slash + 1)}).front();
}

std::vector<std::optional<FileState>> ContainedFolder::states(const std::string& folder,
                                                              const std::vector<std::string>& names) const {
  std::vector<std::optional<FileState>> found(names.size());
  const OpenFolder opened(open_beneath(folder, kOpenFolder));
  if (opened.get() < 0) return found;
  for (size_t i = 0; i < names.size(); ++i) {
    struct stat status = {};
    const bool exists = ::fstatat(opened.get(), names[i].c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (exists && is_shown(status)) found[i] = state_of(status);
  }
  return found;
}

std::vector<ContainedFolder::Entry> ContainedFolder::list(const std::string& folder) const {
  OpenFolder opened(open_beneath(folder, kOpenFolder));
  if (opened.get() < 0) return {};
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(opened.get()), ::closedir);
  if (!stream) return {};
  opened.release();  // the stream closes it
  std::vector<Entry> entries;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status = {};
    if (entry->d_type == DT_DIR || entry->d_type == DT_REG) {
      entries.push_back({name, entry->d_type == DT_DIR});
    } else if (entry->d_type == DT_UNKNOWN &&
               ::fstatat(::dirfd(stream.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && is_shown(status)) {
      entries.push_back({name, S_ISDIR(status.st_mode)});
    }
  }
  std::ranges::sort(entries, {}, &Entry::name);
  return entries;
}

std::optional<std::string> ContainedFolder::read(const std::string& path, uint64_t limit) const {
  const auto file = open(path);
  return file ? std::optional(file->read(0, limit)) : std::nullopt;
}

std::vector<StepFile> step_files(const ContainedFolder& files, const std::string& folder, std::string_view suffix) {
  std::vector<StepFile> found;
  for (const auto& entry : files.list(folder)) {
    auto name = entry.is_folder ? std::nullopt : parse_step_name(entry.name, suffix);
    if (name) found.push_back({name->step, entry.name, std::move(name->rest)});
  }
  std::ranges::sort(found, {}, [](const StepFile& file) { return std::pair(file.step, file.name); });
  return found;
}

std::string joined(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

}  // namespace sgan
