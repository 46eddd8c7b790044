#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "report/dashboard_files.h"

namespace sgan {

// The runs below a folder, for a list that is kept up with them. A run is a folder with run.json and config.yaml, at
// most eight levels down; folders whose names begin with a dot are passed over. Of metrics.jsonl only the end is read,
// and a file is read again only when its time or size has changed.
//
// A run that run.json calls running is so only while a process holds the lock on its run.lock. /proc/locks tells of
// those of this system. Of others (another container, another machine on the same disk) only trying tells: the lock is
// taken shared and given back at once, at most every lock_pause for one run.
class RunIndex {
 public:
  struct Options {
    std::chrono::seconds lock_pause{5};
    std::chrono::seconds stalled_after{600};  // a run that holds its lock, but has written nothing for so long
    size_t most_runs = 20000;
    size_t most_folders = 100000;  // that are looked into; of a larger tree not all runs are found
  };

  RunIndex(const ContainedFolder& files, Options options) : files_(files), options_(options) {}
  explicit RunIndex(const ContainedFolder& files) : RunIndex(files, Options()) {}

  // Looks at the tree once; true where anything has changed. One thread at a time; all else may be called at once.
  bool scan();

  // {"version", "complete", "truncated", "runs": […], "folders": […]}: what changed after the version `since`.
  // complete: these are all there are, and others are gone. truncated: the tree is larger than Options allow. A run:
  // {"id", "group" (the folder it is in), "name", "strategy", "seed", "status", "why", "alarms" (the last eight, of
  // "step", "trouble", "text"), "start", "end", "device", "step", "steps", "loss_d", "loss_g" (null: not finite),
  // "ms_per_step", "wall_s", "score": {"name", "value", "better", "step"}, "written" (seconds since 1970), "report",
  // "version"}; what is not known is left out. status: running, finished, interrupted, failed, killed (run.json says
  // running, but no process holds the lock), stalled, or what else run.json says. A folder: {"id", "report"}, those
  // that hold a report.html beside runs.
  nlohmann::ordered_json list(uint64_t since) const;

  // The run's or folder's path below the root; nothing for an id that `list` does not have.
  std::optional<std::string> folder_of_run(const std::string& id) const;
  std::optional<std::string> folder_of_report(const std::string& id) const;
  uint64_t version() const;
  // Changes with the run's files; 0 where there is no such run.
  uint64_t version_of(const std::string& id) const;

 private:
  using Locks = std::set<std::pair<uint64_t, uint64_t>>;  // device and inode
  using Clock = std::chrono::steady_clock;

  struct Run {
    std::vector<std::optional<FileState>> states;  // of kWatched
    nlohmann::ordered_json record, config, metrics, score;
    std::string recorded_status;
    std::string status;
    bool is_locked = false;
    bool is_listed = false;  // in /proc/locks
    Clock::time_point lock_tried{};
    uint64_t scan = 0;  // the last one that saw it
  };
  struct Published {
    std::string folder;
    nlohmann::ordered_json summary;
    uint64_t version;
  };

  void visit(const std::string& folder, int depth);
  bool update(const std::string& folder, Run& run);
  void read_record(const std::string& folder, Run& run) const;
  void read_config(const std::string& folder, Run& run) const;
  void read_metrics_end(const std::string& folder, Run& run) const;
  void read_score(const std::string& folder, Run& run) const;
  std::string status_of(const std::string& folder, Run& run);
  bool is_lock_held(const std::string& folder, Run& run);
  std::string name_of_root() const;
  nlohmann::ordered_json summary(const std::string& folder, const Run& run) const;
  void publish(const std::string& folder, const Run& run);
  bool remove_gone();

  const ContainedFolder& files_;
  Options options_;
  std::map<std::string, Run> runs_;      // by folder; the scanning thread's own
  std::map<std::string, bool> reports_;  // folders with a report.html beside runs; the scanning thread's own
  std::optional<Locks> locks_;           // of this scan
  uint64_t scans_ = 0;
  bool changed_ = false;
  size_t looked_into_ = 0;     // folders, in this scan
  bool is_truncated_ = false;  // this scan

  mutable std::mutex mutex_;                    // of all below
  std::map<std::string, Published> published_;  // by id
  std::map<std::string, std::string> folders_;  // id → folder of those in reports_
  bool truncated_ = false;
  uint64_t version_ = 1;
  uint64_t complete_from_ = 1;  // older versions know runs that are gone
};

// A folder's path as text that is valid UTF-8 without control characters and names no other folder.
std::string id_of_folder(const std::string& folder);

// The last whole line of a file of lines, or "" where its last MiB holds none.
std::string last_line(const ContainedFile& file);

}  // namespace sgan
