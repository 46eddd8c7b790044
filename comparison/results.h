#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sgan {

// What came of one run of a comparison. Only `finished` runs give scores that count.
enum class Outcome {
  finished,    // all its steps are done
  collapsed,   // so too, but the last evaluation calls its samples collapsed; its scores count
  diverged,    // a loss stopped being finite
  failed,      // an error or a signal ended it
  unfinished,  // waiting, running or interrupted
};
std::string_view name_of(Outcome outcome);

struct ScorePoint {
  int64_t step;
  double value;  // NaN where the file has null
};

// A run's bracket of its discriminator's Lipschitz constant; `upper` is infinite where no useful bound exists.
struct BracketPoint {
  int64_t step;
  double lower;
  double upper;
};

// What a run's evaluation/*.json hold. Scores of different protocols do not belong in one curve: kept is the protocol
// of the newest step (of several there the one with the most steps, then the first by file name), files of others are
// left out. The protocol is what the files call so, but for the step and its checkpoint.
struct Evaluations {
  // Full names ("fd_digits_classifier") in the order of the files; points by step.
  std::vector<std::pair<std::string, std::vector<ScorePoint>>> scores;
  std::map<std::string, bool> lower_is_better;  // by full name
  nlohmann::ordered_json protocol;              // of the last evaluation; null where there is none
  std::optional<std::string> collapse;          // what the last evaluation says is wrong with its samples
  int64_t step = 0;                             // of the last evaluation
};

// A run's lipschitz/step-*.json.
struct Brackets {
  std::vector<BracketPoint> points;  // by step
  nlohmann::ordered_json last;       // the last file without the slopes at single points; null where there is none
};

// One cell of the grid, strategy × seed, as its folder tells it.
struct RunResult {
  std::string strategy;
  int64_t seed = 0;
  std::filesystem::path folder;
  Outcome outcome = Outcome::unfinished;
  std::string why;    // of diverged, failed and collapsed
  int64_t step = 0;   // the last one recorded
  int64_t steps = 0;  // wanted; 0 where a budget of seconds ends the run

  // As in Evaluations.
  std::vector<std::pair<std::string, std::vector<ScorePoint>>> scores;
  std::map<std::string, bool> lower_is_better;
  nlohmann::ordered_json protocol;
  std::vector<BracketPoint> brackets;           // by step
  nlohmann::ordered_json last_bracket;          // as in Brackets
  std::vector<nlohmann::ordered_json> metrics;  // metrics.jsonl
  nlohmann::ordered_json record;                // run.json; null where there is none
  std::string config;                           // config.yaml as it is

  // Cost. The times are of this machine and its load.
  std::optional<double> ms_per_step;             // median over the log points after the first
  std::optional<int64_t> peak_memory_bytes;      // of the process, as run.json has it
  std::optional<int64_t> peak_gpu_memory_bytes;  // of the device's allocator

  // Seconds of discriminator and generator updates, batch delivery among them, up to `step`, from the log points and
  // linearly between them; nothing beyond the last one or where times are missing.
  std::optional<double> training_seconds(int64_t step) const;
  // The value at the last step, where the run got there.
  std::optional<double> final_score(const std::string& score) const;
  bool is_done() const { return outcome == Outcome::finished || outcome == Outcome::collapsed; }
};

// Both read what the folder has; without its subfolder nothing. Errors: UserError that names a damaged file.
Evaluations read_evaluations(const std::filesystem::path& folder);
Brackets read_brackets(const std::filesystem::path& folder);

// Seconds of updates at each log point, (step, seconds), by step; ends before the first point that has no time.
std::vector<std::pair<int64_t, double>> training_seconds(const std::vector<nlohmann::ordered_json>& metrics);
// The seconds at `step` on such a line; nothing beyond its end.
std::optional<double> seconds_at(const std::vector<std::pair<int64_t, double>>& timeline, int64_t step);

// The median of `ms_per_step` over the log points after the first, which has the warm-up.
std::optional<double> median_ms_per_step(const std::vector<nlohmann::ordered_json>& metrics);

// The number at `key` ("a.b") of a log point: nullopt where it was not recorded, NaN where it is null.
std::optional<double> metric(const nlohmann::ordered_json& point, std::string_view key);

// Reads a cell's folder; a missing or still empty one is an unfinished run. `failed` is what run.json calls failed
// ("failure": "diverged" there makes it diverged), or what left a failure.json: {"why": …}, which `compare` writes of a
// run that died without a word. Errors: UserError where a file is damaged.
RunResult read_result(const std::filesystem::path& folder, const std::string& strategy, int64_t seed);

}  // namespace sgan
