#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "run/file_descriptor.h"
#include "run/protobuf.h"

namespace sgan {

// Counts of values in buckets: bucket i holds what is above limits[i - 1] and at most limits[i].
struct Histogram {
  double min = 0;
  double max = 0;
  double sum = 0;
  double sum_squares = 0;
  std::vector<double> limits;
  std::vector<double> counts;

  double count() const;
};

// Equally wide buckets between the least and the greatest value. Values that are not finite are left out.
Histogram histogram_of(std::span<const double> values, int64_t buckets = 60);

// A value of a hyperparameter.
using HyperParameter = std::variant<double, bool, std::string>;
using HyperParameters = std::vector<std::pair<std::string, HyperParameter>>;

enum class SessionEnd { success, failure, running };

// What the HParams page shows of all runs: its columns. TensorBoard takes those of one arbitrary run.
struct HyperParameterColumns {
  struct Parameter {
    std::string name;
    std::string shown;    // in place of the name; "" for the name
    HyperParameter kind;  // any value of its type
    bool differs;         // between the runs

    bool operator==(const Parameter&) const = default;
  };
  double begun = 0;                   // seconds since 1970
  std::vector<Parameter> parameters;  // by name
  std::vector<std::string> metrics;   // scalars whose last values stand there, in this order
};

// All that any of the runs was started with. What one run has and another has not differs; values of several types
// count as text.
std::vector<HyperParameterColumns::Parameter> parameters_of(std::span<const HyperParameters> runs);

// A TensorBoard event file: a TFRecord file of `Event` messages, as TensorFlow's and PyTorch's writers make it. Each
// event is written at once and whole, so a server may read along. Failures are UserErrors.
class EventFile {
 public:
  // Begins a file, which must not exist.
  EventFile(const std::filesystem::path& path, double wall_time);
  // Goes on with one that was closed.
  static EventFile append_to(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }

  // Readers drop what they have read, in this file or one before, of `step` and later ones.
  void restart(int64_t step, double wall_time);

  void scalar(std::string_view tag, int64_t step, double wall_time, double value);
  // png: a whole file.
  void image(std::string_view tag, int64_t step, double wall_time, std::string_view png);
  void histogram(std::string_view tag, int64_t step, double wall_time, const Histogram& values);
  // Markdown.
  void text(std::string_view tag, int64_t step, double wall_time, std::string_view markdown);

  // The HParams page: what the run was started with and how it ended, times in seconds since 1970; and the columns. A
  // reader keeps the first of each that it sees. Without columns it makes some, of all scalars.
  void session_start(const HyperParameters& values, double begun);
  void session_end(SessionEnd end, double wall_time, std::optional<double> ended);
  void columns(const HyperParameterColumns& columns);

 private:
  explicit EventFile(FileDescriptor file) : file_(std::move(file)) {}
  void write(const ProtobufMessage& event);
  void write_summary(int64_t step, double wall_time, const ProtobufMessage& value);

  FileDescriptor file_;
};

// Width and height of a PNG file; nothing where it is none.
std::optional<std::pair<int64_t, int64_t>> png_size(std::string_view png);

}  // namespace sgan
