#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "run/file_descriptor.h"

namespace sgan {

// The run's metrics.jsonl: one JSON object a line. Failures are UserErrors.
class MetricsLog {
 public:
  // Keeps the first `keep_lines` lines of the file, which a resumed checkpoint recorded, and drops later ones; 0 for a
  // new run. (Lines, not bytes: times have other lengths in every run, and equal runs write equal checkpoints.)
  MetricsLog(const std::filesystem::path& path, int64_t keep_lines);

  // Adds one line. Numbers that are not finite become null. After a failure the file ends where it did before.
  void append(const nlohmann::ordered_json& values);
  int64_t lines() const { return lines_; }
  // Returns when all lines are on the disk; call it before a checkpoint records lines().
  void sync() { file_.sync(); }

 private:
  FileDescriptor file_;
  uint64_t length_ = 0;
  int64_t lines_;
};

// The last whole line of a metrics file, read from its end; nothing where there is none.
std::optional<nlohmann::ordered_json> last_metrics(const std::filesystem::path& path);

// The last of the first `count` lines, which a checkpoint recorded; an empty object without any. What comes after them
// is not looked at. Errors: UserError where lines are missing.
nlohmann::ordered_json metrics_line(const std::filesystem::path& path, int64_t count);

// All lines of a metrics file, or the first `most` of them. A last line that a running or killed process left
// incomplete is skipped.
std::vector<nlohmann::ordered_json> read_metrics(const std::filesystem::path& path,
                                                 int64_t most = std::numeric_limits<int64_t>::max());

}  // namespace sgan
