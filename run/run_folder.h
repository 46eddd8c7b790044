#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "configs/error.h"
#include "run/atomic_file.h"
#include "run/file_descriptor.h"

namespace sgan {

// Another process holds the run's lock.
class RunBusyError : public UserError {
 public:
  using UserError::UserError;
};

// The folder that holds all of a run: its config, status, metrics, samples and checkpoints under fixed names, which
// scripts rely on. The process that trains the run locks it (flock on run.lock) for as long as the object lives.
// Failures are UserErrors; a folder that could not be made completely is removed again.
class RunFolder {
 public:
  // Makes <output>/00000-<name>-seed<seed> with the next number. Processes that do so at once get different folders.
  static RunFolder create(const std::filesystem::path& output, const std::string& name, int64_t seed);
  // Makes the run in `path`, which must be missing or empty.
  static RunFolder create_at(const std::filesystem::path& path);
  // Throws what create_at would throw for a folder in use, without making anything.
  static void check_vacant(const std::filesystem::path& path);
  // Opens a run to continue it: it must hold config.yaml and run.json, and no other process may be writing it.
  static RunFolder open(const std::filesystem::path& path);
  // Opens the folder to begin a run there or to go on with it: it may be missing, empty, hold a run, or hold what a run
  // left that was killed before its first record. Other processes that do so at once get a RunBusyError.
  static RunFolder claim(const std::filesystem::path& path);
  // True where another process holds the run's lock. The look takes the lock for a moment, shared: a process that wants
  // it just then is told that the run is busy.
  static bool is_busy(const std::filesystem::path& path);
  // True where the folder holds a run: config.yaml and run.json.
  bool holds_run() const;
  // Opens a run without locking it, also one that is being written.
  static RunFolder open_read_only(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config_path() const { return path_ / "config.yaml"; }
  std::filesystem::path status_path() const { return path_ / "run.json"; }
  std::filesystem::path metrics_path() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path log_path() const { return path_ / "log.txt"; }
  std::filesystem::path reals_path() const { return path_ / "samples" / "reals.png"; }
  std::filesystem::path sample_path(int64_t step) const;      // samples/step-00001000.png
  std::filesystem::path forensics_path(int64_t step) const;   // forensics/step-00001000/
  std::filesystem::path checkpoint_path(int64_t step) const;  // checkpoints/step-00001000.safetensors

  // (step, file) of each checkpoint, the earliest first.
  std::vector<std::pair<int64_t, std::filesystem::path>> checkpoints() const;
  // (step, file) of each sample grid, the earliest first.
  std::vector<std::pair<int64_t, std::filesystem::path>> samples() const;
  // Says that the checkpoint of this step is whole: this process wrote it, or has verified its checksum.
  void trust_checkpoint(int64_t step) { trusted_ = step; }
  // Deletes old checkpoints, so that `keep_last` stay up to the last one that is trusted, that one among them; 0 keeps
  // all. What is newer stays too, and so does everything while none is trusted: it may be all that is left.
  void prune_checkpoints(int64_t keep_last);
  // Renames a damaged checkpoint, so that it is not taken for one again; returns its new name.
  std::filesystem::path set_aside(const std::filesystem::path& checkpoint);
  // Those that were renamed so.
  std::vector<std::filesystem::path> checkpoints_set_aside() const;

  // Takes back a new folder in which no run was begun: an unwritten run.json, and nothing that a run makes.
  void discard_unbegun() noexcept;

  // The content of run.json.
  nlohmann::ordered_json read_status() const;
  void write_status(const nlohmann::ordered_json& status);
  // Sets room aside for one write_status on a disk that has become full, where the disk has it now.
  void reserve_status() noexcept;
  // The temporary file that holds this room, if there is one.
  std::optional<std::filesystem::path> reserved_status() const;

  // Whether this process still has the run to itself: run.lock is the one that it locked.
  bool holds_lock() const;
  // Errors: UserError where somebody has removed run.lock, so that another process may have begun to write the run.
  void require_lock() const;

  // For a run that goes on from `step` another way than before: deletes the sample grids of later steps, and puts
  // scores and brackets of them aside, as *.dropped. Returns how many of these there were. Checkpoints stay.
  int64_t drop_later_steps(int64_t step);
  void remove_checkpoints_after(int64_t step);
  // The bytes that write_status writes.
  static std::string status_text(const nlohmann::ordered_json& status);

 private:
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}
  void lock();
  void take_over();
  void sync_folders() const;
  void make_subfolders();
  void fill();
  static RunFolder open_existing(const std::filesystem::path& path);

  std::filesystem::path path_;
  FileDescriptor lock_;
  std::unique_ptr<AtomicFile> spare_;  // room for run.json
  std::optional<int64_t> trusted_;     // the step of the last checkpoint that is known to be whole
};

}  // namespace sgan
