#include "app/run_log.h"

#include <fcntl.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <charconv>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>

#include "run/atomic_file.h"
#include "run/file_descriptor.h"

namespace sgan {
namespace {

// The step that a line is about, "[time] [run] [info] step 35: loss_d …"; none for other lines.
std::optional<int64_t> step_of(std::string_view line) {
  constexpr std::string_view kMark = "] step ";
  const size_t mark = line.find(kMark);
  if (!line.starts_with('[') || mark == line.npos) return std::nullopt;
  const std::string_view rest = line.substr(mark + kMark.size());
  int64_t step = 0;
  const auto [end, error] = std::from_chars(rest.begin(), rest.end(), step);
  if (error != std::errc() || end == rest.end() || *end != ':') return std::nullopt;
  return step;
}

}  // namespace

// The logger swallows what a sink throws, so it is kept.
class RunLog::Sink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit Sink(const std::filesystem::path& path) : file_(path, O_WRONLY | O_CREAT | O_APPEND) {}

  void rethrow() {
    if (const auto failure = std::exchange(failure_, nullptr)) std::rethrow_exception(failure);
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    try {
      spdlog::memory_buf_t line;
      formatter_->format(message, line);
      const auto length = file_.size();
      try {
        file_.write({line.data(), line.size()});
      } catch (const FileError&) {
        // A disk that fills up may have taken a part of the line. The write's failure is the one worth reporting.
        [[maybe_unused]] const int ignored = ::ftruncate(file_.get(), static_cast<off_t>(length));
        throw;
      }
    } catch (const std::exception&) {
      failure_ = std::current_exception();
    }
  }
  void flush_() override {}

  FileDescriptor file_;
  std::exception_ptr failure_;
};

struct RunLog::Logger {
  spdlog::logger spd;
};

RunLog::RunLog(const std::filesystem::path& path)
    : sink_(std::make_shared<Sink>(path)), logger_(new Logger{spdlog::logger("run", sink_)}) {}

RunLog::~RunLog() = default;

void RunLog::info(const std::string& text) {
  logger_->spd.log(spdlog::level::info, text);
  sink_->rethrow();
}

void RunLog::warn(const std::string& text) {
  logger_->spd.log(spdlog::level::warn, text);
  sink_->rethrow();
}

void log_line(const std::filesystem::path& log, const std::string& text) {
  RunLog(log).info(text);
}

void forget_later_steps(const std::filesystem::path& log, int64_t step) {
  std::error_code error;
  if (!std::filesystem::exists(log, error)) return;
  const std::string text = read_file(log);
  std::string kept;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == text.npos) break;
    const auto line = std::string_view(text).substr(begin, end + 1 - begin);
    if (step_of(line).value_or(step) <= step) kept += line;
    begin = end + 1;
  }
  if (kept != text) write_file_atomically(log, kept);
}

}  // namespace sgan
