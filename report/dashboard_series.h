#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "report/dashboard_files.h"

namespace sgan {

// Values over steps or seconds, x ascending. NaN: recorded, but not finite.
struct Curve {
  std::vector<double> x, y;
};

// The exponential moving average over the points, weight·average + (1 − weight)·value, divided by 1 − weightⁿ so that
// its beginning is not drawn to zero. Values that are not finite stay and do not enter it. weight in [0, 1).
Curve smoothed(const Curve& curve, double weight);

// The points of [from, to] and one more on each side, so that the line goes on to the edges.
Curve cut(const Curve& curve, double from, double to);

// At most `points` points, 4 at least: of each stretch of equal numbers of points the smallest and the largest, and the
// curve's ends. A stretch's NaN is kept where it holds nothing else.
Curve decimated(const Curve& curve, size_t points);

// The numbers in a metrics.jsonl, one column for each key; a nested key is "critic_slope.max". null is NaN. Lines that
// are no JSON objects are left out, and so is a last line without its end.
class MetricsTable {
 public:
  // What a file this long or shorter holds is kept whole; of longer ones only the columns that were asked for.
  static constexpr uint64_t kKeepAll = uint64_t{64} << 20;

  struct Column {
    std::vector<uint32_t> rows;
    std::vector<double> values;
    bool is_kept = true;
  };

  explicit MetricsTable(uint64_t keep_all = kKeepAll) : keep_all_(keep_all) {}

  // Reads the lines that were added since the last time; all lines where the file was cut or replaced (a resumed run),
  // or where `key` was not kept.
  void update(const ContainedFile& file, const std::string& key);

  std::vector<std::string> keys() const;
  const Column* column(const std::string& key) const;
  // By row; NaN where a line does not have them.
  const std::vector<double>& steps() const { return steps_; }
  const std::vector<double>& seconds() const { return seconds_; }
  size_t bytes() const;

 private:
  void reset();
  bool continues(const ContainedFile& file) const;
  void read_lines(std::string_view text);
  void add(const std::string& key, double value);
  void drop_unwanted();

  uint64_t keep_all_;
  bool keeps_all_ = true;
  std::set<std::string> wanted_;
  std::map<std::string, Column, std::less<>> columns_;
  std::vector<double> steps_, seconds_;
  uint32_t rows_ = 0;
  uint64_t inode_ = 0;
  uint64_t offset_ = 0;  // where the next line begins
  std::string before_;   // the last bytes before it
};

// Curves of runs by metric: "loss_d" and other keys of metrics.jsonl; "score.<name>" of evaluation/*.json;
// "lipschitz.lower" and "lipschitz.upper" of lipschitz/*.json. Where a run has a score under several protocols, each
// is a metric of its own: "score.<name> (<protocol>)". Thread-safe. What was read is kept, the runs that were used last
// at most, up to `max_bytes` of numbers.
class CurveReader {
 public:
  enum class Axis { step, seconds };
  struct Metric {
    Curve curve;
    std::string protocol;  // of a score
  };

  explicit CurveReader(const ContainedFolder& files, size_t max_bytes = size_t{256} << 20)
      : files_(files), max_bytes_(max_bytes) {}

  // folder: the run's. An empty curve where the run does not have the metric.
  Metric read(const std::string& folder, const std::string& metric, Axis axis);
  std::vector<std::string> metrics(const std::string& folder);
  size_t bytes();

 private:
  struct Score {
    std::string name, protocol;
    int64_t step;
    double value;
  };
  struct Bracket {
    int64_t step;
    double lower, upper;
  };
  template <class Value>
  struct Parsed {
    FileState state;
    std::vector<Value> values;
  };
  struct Run {
    std::mutex mutex;
    MetricsTable table;
    std::map<std::string, Parsed<Score>> scores;      // by file
    std::map<std::string, Parsed<Bracket>> brackets;  // by file
    size_t counted_bytes = 0;
  };

  std::shared_ptr<Run> run(const std::string& folder);
  void update_table(Run& run, const std::string& folder, const std::string& key) const;
  template <class Value, class Parse>
  void update_files(std::map<std::string, Parsed<Value>>& parsed, const std::string& folder, Parse parse) const;
  void update_scores(Run& run, const std::string& folder) const;
  void update_brackets(Run& run, const std::string& folder) const;
  static std::map<std::string, std::vector<Score>> score_metrics(const Run& run);
  void account(const std::shared_ptr<Run>& run, size_t bytes);

  const ContainedFolder& files_;
  size_t max_bytes_;
  std::mutex mutex_;                                              // of all below
  std::list<std::pair<std::string, std::shared_ptr<Run>>> runs_;  // the last used first
  size_t bytes_ = 0;
};

}  // namespace sgan
