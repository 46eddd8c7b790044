#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace sgan {

// How far something is, on stderr: one line redrawn in place on a terminal, a plain line every few seconds in a pipe.
class Progress {
 public:
  // what: a word for the line's beginning; unit: what is counted, for the rate; done: where it begins.
  Progress(std::string what, std::string unit, int64_t done, int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Shows the state if the last drawing is old enough, and always at the end. note: follows rate and ETA.
  void update(int64_t done, const std::string& note = {});
  // Ends the redrawn line, so that other text can follow.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(int64_t done, const std::string& note) const;

  std::string what_;
  std::string unit_;
  int64_t begun_at_;
  int64_t total_;
  bool terminal_;
  bool drawn_ = false;
  int64_t last_shown_ = -1;
  Clock::time_point begun_ = Clock::now();
  Clock::time_point shown_ = Clock::now();
};

// The progress of work that tells (done, total): it shows from the first report on. Where done goes back, it begins
// anew, as for a second pass over the same files. To be passed on with std::ref.
class Counter {
 public:
  Counter(std::string what, std::string unit) : what_(std::move(what)), unit_(std::move(unit)) {}

  void operator()(int64_t done, int64_t total);
  void clear() { progress_.reset(); }

 private:
  std::string what_;
  std::string unit_;
  int64_t done_ = 0;
  std::optional<Progress> progress_;
};

// The progress of several things in turn, each with its name: a Counter for each. Copies share their line.
class Stages {
 public:
  explicit Stages(std::string unit) : unit_(std::move(unit)), state_(std::make_shared<State>()) {}

  void operator()(const std::string& what, int64_t done, int64_t total);
  void clear();

 private:
  struct State {
    std::string what;
    std::optional<Counter> counter;
  };
  std::string unit_;
  std::shared_ptr<State> state_;
};

// Writes to stderr. Unlike fmt::print it does not throw where nobody reads any more (`train … 2>&1 | head`): a run
// outlives its audience.
void tell(const std::string& text);
// From here on tell() and progress write nothing: in a process that another one of the same run speaks for.
void mute();

// "[====....]"; share: 0 to 1.
std::string progress_bar(double share);
// Columns of the terminal that stderr is.
int64_t terminal_width();

// "42 s", "12:34", "1:02:03".
std::string duration_text(double seconds);

}  // namespace sgan
