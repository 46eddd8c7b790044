#include "app/run_log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "run/atomic_file.h"

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

std::shared_ptr<spdlog::logger> open_log(const std::filesystem::path& log) {
  auto logger = std::make_shared<spdlog::logger>("run");
  try {
    logger->sinks().push_back(std::make_shared<spdlog::sinks::basic_file_sink_st>(log.string()));
  } catch (const spdlog::spdlog_ex&) {
    // The file could not be opened.
  }
  logger->flush_on(spdlog::level::info);
  logger->set_error_handler([](const std::string&) {});
  return logger;
}

void log_line(const std::filesystem::path& log, const std::string& text) {
  open_log(log)->info(text);
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
