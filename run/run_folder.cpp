#include "run/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

#include "run/atomic_file.h"
#include "run/json_text.h"
#include "run/step_name.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSubfolders = {"samples", "checkpoints"};
constexpr std::string_view kLockName = "run.lock";
constexpr std::string_view kCheckpointSuffix = ".safetensors";
constexpr std::string_view kSampleSuffix = ".png";
constexpr std::string_view kAsideSuffix = ".damaged";
constexpr std::string_view kDroppedSuffix = ".dropped";
// What commands other than train write, which hold no lock.
constexpr std::array kSharedSubfolders = {"evaluation", "lipschitz", "exports", "forensics"};

// The whole of `digits` as a number.
std::optional<int64_t> parse_number(std::string_view digits) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
  if (error != std::errc() || end != digits.end()) return std::nullopt;
  return number;
}

std::vector<fs::path> list(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    entries.push_back(entry->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) throw file_error("list", folder, error.value());
  return entries;
}

void make_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw file_error("make the folder", path, error.value());
}

// False where the path exists already. mkdir is atomic, so of several processes one gets true.
bool claim_folder(const fs::path& path) {
  if (::mkdir(path.c_str(), 0777) == 0) return true;
  if (errno == EEXIST) return false;
  throw file_error("make the folder", path, errno);
}

// Throws where a folder without a run holds what no run made.
void check_unused(const RunFolder& run) {
  const fs::path& path = run.path();
  for (const fs::path& entry : list(path)) {
    const std::string name = entry.filename().string();
    const bool is_own = name == kLockName || name == "config.yaml" || name == "failure.json" || name.starts_with('.') ||
                        std::ranges::find(kSubfolders, name) != kSubfolders.end();
    // Another process may begin a run here meanwhile.
    if (is_own || run.holds_run()) continue;
    throw UserError(
        fmt::format("{} holds {}, which no run made. Give a new or empty folder with --out.", path.string(), name),
        UserError::Kind::usage);
  }
}

int64_t next_run_number(const fs::path& output) {
  int64_t next = 0;
  for (const fs::path& entry : list(output)) {
    const std::string name = entry.filename().string();
    if (const auto number = parse_number(name.substr(0, name.find('-')))) next = std::max(next, *number + 1);
  }
  return next;
}

}  // namespace

RunFolder RunFolder::create(const fs::path& output, const std::string& name, int64_t seed) {
  if (name.empty() || name.find('/') != name.npos) {
    throw UserError(
        fmt::format("name '{}' cannot be part of a folder's name: it must not be empty or hold a '/'", name),
        UserError::Kind::usage);
  }
  make_folders(output);
  for (int64_t number = next_run_number(output);; ++number) {
    RunFolder run(output / fmt::format("{:05}-{}-seed{}", number, name, seed));
    if (!claim_folder(run.path_)) continue;
    try {
      run.fill();
    } catch (...) {
      ::rmdir(run.path_.c_str());
      throw;
    }
    return run;
  }
}

void RunFolder::check_vacant(const fs::path& path) {
  if (!fs::exists(path)) return;
  const RunFolder run(path);
  if (!fs::is_directory(path)) {
    throw UserError(fmt::format("{} is a file. Give a new or empty folder with --out.", path.string()),
                    UserError::Kind::usage);
  }
  if (!list(path).empty()) {
    const bool is_run = fs::exists(run.config_path()) || fs::exists(run.status_path());
    throw UserError(is_run ? fmt::format("{0} already holds a run. Continue it with `spectral-gan resume {0}`, or give "
                                         "another folder with --out.",
                                         path.string())
                           : fmt::format("{} is not empty. Give a new or empty folder with --out.", path.string()),
                    UserError::Kind::usage);
  }
}

RunFolder RunFolder::create_at(const fs::path& given) {
  const fs::path path = given.has_filename() ? given : given.parent_path();  // "runs/a/" means "runs/a"
  if (path.has_parent_path()) make_folders(path.parent_path());
  const bool made = claim_folder(path);
  RunFolder run(path);
  if (!made) check_vacant(path);
  try {
    run.fill();
  } catch (...) {
    if (made) ::rmdir(path.c_str());
    throw;
  }
  return run;
}

RunFolder RunFolder::open_existing(const fs::path& path) {
  RunFolder run(path);
  if (!fs::is_directory(path)) {
    throw UserError(
        fmt::format("there is no run folder {}. `spectral-gan train` prints the folder of its run.", path.string()),
        UserError::Kind::usage);
  }
  for (const fs::path& file : {run.config_path(), run.status_path()}) {
    if (!fs::exists(file)) {
      throw UserError(fmt::format("{} is not a run: it holds no {}. Give the folder that `spectral-gan train` printed.",
                                  path.string(), file.filename().string()),
                      UserError::Kind::usage);
    }
  }
  return run;
}

RunFolder RunFolder::open_read_only(const fs::path& path) {
  return open_existing(path);
}

RunFolder RunFolder::open(const fs::path& path) {
  RunFolder run = open_existing(path);
  run.take_over();
  return run;
}

RunFolder RunFolder::claim(const fs::path& path) {
  make_folders(path);
  RunFolder run(path);
  if (!run.holds_run()) check_unused(run);
  try {
    run.take_over();
  } catch (const FileError& error) {
    if (error.code() != ENOENT) throw;
    // Another process, in which no run began, has taken the folder back meanwhile.
    make_folders(path);
    run.take_over();
  }
  // Without run.json nothing was trained by that config.
  std::error_code error;
  if (!run.holds_run()) fs::remove(run.config_path(), error);
  return run;
}

bool RunFolder::is_busy(const fs::path& path) {
  const fs::path lock = path / kLockName;
  if (!fs::exists(lock)) return false;
  const FileDescriptor file(lock, O_RDONLY);
  return ::flock(file.get(), LOCK_SH | LOCK_NB) != 0;
}

bool RunFolder::holds_run() const {
  return fs::exists(config_path()) && fs::exists(status_path());
}

void RunFolder::take_over() {
  lock();
  make_subfolders();
  sync_folders();
  remove_stale_temporaries(path_);
  for (const char* name : kSubfolders) remove_stale_temporaries(path_ / name);
  for (const char* name : kSharedSubfolders) remove_abandoned_temporaries(path_ / name);
}

// A file survives a power failure only where the folders above it do.
void RunFolder::sync_folders() const {
  sync_folder(path_);
  try {
    sync_folder(fs::absolute(path_).parent_path());
  } catch (const FileError& error) {
    if (error.code() != EACCES) throw;  // a folder of somebody else, which may be entered but not read
  }
}

void RunFolder::lock() {
  const fs::path path = path_ / kLockName;
  // A process that gives the folder up may remove the file between the two calls, and the lock of a file that nobody
  // finds keeps nobody away.
  do {
    lock_ = {};
    lock_ = FileDescriptor(path, O_RDWR | O_CREAT);
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
      const int code = errno;
      lock_ = {};
      if (code != EWOULDBLOCK) throw file_error("lock", path, code);
      const std::string owner = read_file(path);
      throw RunBusyError(
          fmt::format("another process (pid {}) is writing this run: {}. Wait until it ends, or stop it.",
                      owner.empty() ? "unknown" : owner.substr(0, owner.find('\n')), path_.string()));
    }
  } while (!holds_lock());
  lock_.truncate(0);
  lock_.write(fmt::format("{}\n", ::getpid()));
}

bool RunFolder::holds_lock() const {
  return lock_.is_at(path_ / kLockName);
}

void RunFolder::require_lock() const {
  if (holds_lock()) return;
  throw UserError(
      fmt::format("{} was removed or replaced while this process wrote the run, so that another one may write it too. "
                  "This one ends; what it saved last is in {}.",
                  (path_ / kLockName).string(), (path_ / "checkpoints").string()));
}

void RunFolder::make_subfolders() {
  for (const char* name : kSubfolders) make_folders(path_ / name);
}

// Locks a new folder and gives it its parts; takes back what it did when that fails, for example on a full disk.
void RunFolder::fill() {
  try {
    lock();
    make_subfolders();
    sync_folders();
  } catch (...) {
    if (lock_.get() >= 0) {  // otherwise another process has it
      for (const char* name : kSubfolders) ::rmdir((path_ / name).c_str());
      ::unlink((path_ / kLockName).c_str());
    }
    throw;
  }
}

fs::path RunFolder::sample_path(int64_t step) const {
  return path_ / "samples" / step_name(step, kSampleSuffix);
}

fs::path RunFolder::forensics_path(int64_t step) const {
  return path_ / "forensics" / step_name(step, "");
}

fs::path RunFolder::checkpoint_path(int64_t step) const {
  return path_ / "checkpoints" / step_name(step, kCheckpointSuffix);
}

std::vector<std::pair<int64_t, fs::path>> RunFolder::checkpoints() const {
  return files_by_step(path_ / "checkpoints", kCheckpointSuffix);
}

std::vector<std::pair<int64_t, fs::path>> RunFolder::samples() const {
  return files_by_step(path_ / "samples", kSampleSuffix);
}

void RunFolder::prune_checkpoints(int64_t keep_last) {
  if (keep_last <= 0 || !trusted_) return;
  auto files = checkpoints();
  std::erase_if(files, [this](const auto& entry) { return entry.first > *trusted_; });
  if (files.empty() || files.back().first != *trusted_) return;  // somebody took it away
  files.resize(files.size() - std::min<size_t>(files.size(), static_cast<size_t>(keep_last)));
  for (const auto& [step, file] : files) {
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) throw file_error("remove", file, errno);
  }
}

fs::path RunFolder::set_aside(const fs::path& checkpoint) {
  fs::path aside = checkpoint;
  aside += kAsideSuffix;
  if (::rename(checkpoint.c_str(), aside.c_str()) != 0) throw file_error("rename", checkpoint, errno);
  return aside;
}

std::vector<fs::path> RunFolder::checkpoints_set_aside() const {
  auto files = list(path_ / "checkpoints");
  std::erase_if(files, [](const fs::path& file) { return file.extension() != kAsideSuffix; });
  return files;
}

void RunFolder::discard_unbegun() noexcept {
  std::error_code error;
  if (fs::exists(status_path(), error) || error) return;
  spare_.reset();
  ::unlink(config_path().c_str());
  for (const char* name : kSubfolders) ::rmdir((path_ / name).c_str());
  ::unlink((path_ / kLockName).c_str());
  ::rmdir(path_.c_str());
}

nlohmann::ordered_json RunFolder::read_status() const {
  auto status = parse_json_object(read_file(status_path()));
  if (!status.is_object()) {
    throw UserError(fmt::format("{} is not a JSON object. Restore it from a copy.", status_path().string()));
  }
  return status;
}

void RunFolder::write_status(const nlohmann::ordered_json& status) {
  const auto text = status_text(status);
  try {
    write_file_atomically(status_path(), text);
  } catch (const FileError& error) {
    if (spare_ == nullptr || (error.code() != ENOSPC && error.code() != EDQUOT)) throw;
    const auto spare = std::move(spare_);
    spare->file().write_at(text, 0);
    spare->file().truncate(text.size());
    spare->commit();
  }
}

void RunFolder::reserve_status() noexcept {
  constexpr off_t kRoom = 16384;  // bytes; a run.json has one or two thousand
  try {
    spare_ = std::make_unique<AtomicFile>(status_path());
    if (::posix_fallocate(spare_->file().get(), 0, kRoom) != 0) spare_.reset();
  } catch (const std::exception&) {
    spare_.reset();  // a disk that refuses this refuses more, which is told
  }
}

std::optional<fs::path> RunFolder::reserved_status() const {
  return spare_ == nullptr ? std::nullopt : std::optional(spare_->temporary());
}

int64_t RunFolder::drop_later_steps(int64_t step) {
  for (const auto& [later, file] : samples()) {
    if (later > step && ::unlink(file.c_str()) != 0 && errno != ENOENT) throw file_error("remove", file, errno);
  }
  int64_t dropped = 0;
  for (const char* folder : {"evaluation", "lipschitz"}) {
    for (const fs::path& file : list(path_ / folder)) {
      const auto name = parse_step_name(file.filename().string(), "");
      if (!name || name->step <= step || file.extension() == kDroppedSuffix) continue;
      fs::path aside = file;
      aside += kDroppedSuffix;
      if (::rename(file.c_str(), aside.c_str()) != 0 && errno != ENOENT) throw file_error("rename", file, errno);
      ++dropped;
    }
  }
  return dropped;
}

void RunFolder::remove_checkpoints_after(int64_t step) {
  for (const auto& [later, file] : checkpoints()) {
    if (later <= step) continue;
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) throw file_error("remove", file, errno);
  }
}

std::string RunFolder::status_text(const nlohmann::ordered_json& status) {
  return status.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace sgan
