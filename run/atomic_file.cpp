#include "run/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>
#include <system_error>

namespace sgan {
namespace {

constexpr std::string_view kTemporaryMark = ".tmp-";

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// The process that wrote a temporary file of this name; none for any other file.
std::optional<pid_t> temporary_owner(std::string_view name) {
  const size_t mark = name.rfind(kTemporaryMark);
  if (!name.starts_with('.') || mark == name.npos) return std::nullopt;
  const std::string_view digits = name.substr(mark + kTemporaryMark.size());
  pid_t owner = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), owner);
  if (error != std::errc() || end != digits.end() || owner <= 0) return std::nullopt;
  return owner;
}

bool is_alive(pid_t process) {
  return ::kill(process, 0) == 0 || errno == EPERM;
}

// The target's folder; an error names the target, not the temporary file that a user never sees.
std::filesystem::path existing_folder_of(const std::filesystem::path& target) {
  auto folder = folder_of(target);
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    throw UserError(fmt::format("cannot write {}: there is no folder {}. Make it, or give another path.",
                                target.string(), folder.string()));
  }
  return folder;
}

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& target)
    : target_(target),
      temporary_(existing_folder_of(target) /
                 fmt::format(".{}{}{}", target.filename().string(), kTemporaryMark, ::getpid())),
      file_(temporary_, O_WRONLY | O_CREAT | O_TRUNC) {}

AtomicFile::~AtomicFile() {
  if (!committed_) ::unlink(temporary_.c_str());
}

void AtomicFile::commit() {
  file_.sync();
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) throw file_error("write", target_, errno);
  committed_ = true;
  FileDescriptor(folder_of(target_), O_RDONLY | O_DIRECTORY).sync();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

std::string read_file(const std::filesystem::path& path) {
  FileDescriptor file(path, O_RDONLY);
  std::string bytes(file.size(), '\0');
  bytes.resize(file.read(bytes.data(), bytes.size()));
  return bytes;
}

void remove_stale_temporaries(const std::filesystem::path& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::optional<pid_t> owner = temporary_owner(entry.path().filename().string());
    if (!owner || (*owner != ::getpid() && is_alive(*owner))) continue;
    if (::unlink(entry.path().c_str()) != 0 && errno != ENOENT) throw file_error("remove", entry.path(), errno);
  }
  if (error && error != std::errc::no_such_file_or_directory) throw file_error("list", folder, error.value());
}

}  // namespace sgan
