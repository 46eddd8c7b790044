#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace sgan {

// A run's log.txt: a line each for what happens, with its time. Errors: FileError; the file then ends where it did
// before.
class RunLog {
 public:
  explicit RunLog(const std::filesystem::path& path);
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;
  ~RunLog();

  void info(const std::string& text);
  void warn(const std::string& text);

 private:
  class Sink;
  std::shared_ptr<Sink> sink_;
  struct Logger;
  std::unique_ptr<Logger> logger_;
};

// Adds a line, as a run in progress does. Errors as above.
void log_line(const std::filesystem::path& log, const std::string& text);

// Takes out what the log says of steps after `step`, and a last line that is not whole: they are done again, and
// logged again. What else happened, such as errors, stays.
void forget_later_steps(const std::filesystem::path& log, int64_t step);

}  // namespace sgan
