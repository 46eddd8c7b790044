#include "run/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <system_error>

#include "run/sha256.h"

namespace sgan {
namespace {

constexpr std::string_view kTemporaryMark = ".tmp-";
constexpr size_t kMarkLength = 8;

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// Where process numbers mean something: this boot of this machine and, within it, this container. Eight hexadecimal
// digits.
std::string system_mark() {
  std::error_code error;
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  Sha256 sha;
  sha.update(host.data());
  sha.update(boot);
  sha.update(std::filesystem::read_symlink("/proc/self/ns/pid", error).string());
  return sha.hex().substr(0, kMarkLength);
}

std::string random_mark() {
  uint32_t value = 0;
  if (::getrandom(&value, sizeof(value), 0) != sizeof(value)) value = static_cast<uint32_t>(std::random_device()());
  return fmt::format("{:08x}", value);
}

// Who wrote a temporary file.
struct Writer {
  pid_t process = 0;
  std::string system;  // its system_mark(), where the name has one
};

// The writer of a temporary file of this name, ".<name>.tmp-<pid>-<system>-<random>", or of earlier versions without
// what follows the number; none for any other file.
std::optional<Writer> temporary_writer(std::string_view name) {
  const size_t mark = name.rfind(kTemporaryMark);
  if (!name.starts_with('.') || mark == name.npos) return std::nullopt;
  const std::string_view rest = name.substr(mark + kTemporaryMark.size());
  Writer writer;
  const auto [end, error] = std::from_chars(rest.begin(), rest.end(), writer.process);
  if (error != std::errc() || writer.process <= 0) return std::nullopt;
  const std::string_view marks = rest.substr(static_cast<size_t>(end - rest.begin()));
  if (marks.empty()) return writer;
  const bool well_formed = marks.size() == 2 * (kMarkLength + 1) && marks[0] == '-' && marks[kMarkLength + 1] == '-' &&
                           marks.find_first_not_of("-0123456789abcdef") == marks.npos;
  if (!well_formed) return std::nullopt;
  writer.system = marks.substr(1, kMarkLength);
  return writer;
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
      temporary_(existing_folder_of(target) / fmt::format(".{}{}{}-{}-{}", target.filename().string(), kTemporaryMark,
                                                          ::getpid(), system_mark(), random_mark())),
      file_(temporary_, O_RDWR | O_CREAT | O_EXCL, target_) {}

AtomicFile::~AtomicFile() {
  if (!committed_) ::unlink(temporary_.c_str());
}

void AtomicFile::commit() {
  file_.sync();
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) throw file_error("write", target_, errno);
  committed_ = true;
  sync_folder(folder_of(target_));
}

void sync_folder(const std::filesystem::path& folder) {
  FileDescriptor(folder, O_RDONLY | O_DIRECTORY).sync();
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
  const std::string here = system_mark();
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::optional<Writer> writer = temporary_writer(entry.path().filename().string());
    if (!writer) continue;
    // A container's process numbers mean nothing in the next one.
    const bool of_this_system = writer->system.empty() || writer->system == here;
    if (of_this_system && writer->process != ::getpid() && is_alive(writer->process)) continue;
    if (::unlink(entry.path().c_str()) != 0 && errno != ENOENT) throw file_error("remove", entry.path(), errno);
  }
  if (error && error != std::errc::no_such_file_or_directory) throw file_error("list", folder, error.value());
}

void remove_abandoned_temporaries(const std::filesystem::path& folder) {
  constexpr auto kOld = std::chrono::hours(24);
  const std::string here = system_mark();
  std::error_code error;
  using Entries = std::filesystem::directory_iterator;
  for (Entries entry(folder, error); !error && entry != Entries(); entry.increment(error)) {
    const std::optional<Writer> writer = temporary_writer(entry->path().filename().string());
    if (!writer || writer->system.empty()) continue;  // the marks tell our files from other programs'
    std::error_code unknown;
    const auto written = std::filesystem::last_write_time(entry->path(), unknown);
    const bool old = !unknown && std::filesystem::file_time_type::clock::now() - written > kOld;
    const bool gone = writer->system == here && !is_alive(writer->process);
    if (old || gone) ::unlink(entry->path().c_str());
  }
}

}  // namespace sgan
