#include "run/metrics_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "run/atomic_file.h"
#include "run/json_text.h"

namespace sgan {

using nlohmann::ordered_json;

namespace {

[[noreturn]] void refuse_missing_lines(const std::filesystem::path& path, int64_t there, int64_t recorded) {
  throw UserError(
      fmt::format("{} has {} lines, its checkpoint was written when it had {}: lines are missing. "
                  "Restore the file, or start a new run.",
                  path.string(), there, recorded));
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& path, int64_t keep_lines)
    : file_(path, O_WRONLY | O_CREAT | O_APPEND), lines_(keep_lines) {
  const std::string text = read_file(path);
  for (int64_t line = 0; line < keep_lines; ++line) {
    const size_t end = text.find('\n', length_);
    if (end == std::string::npos) refuse_missing_lines(path, line, keep_lines);
    length_ = end + 1;
  }
  if (text.size() > length_) file_.truncate(length_);
}

void MetricsLog::append(const ordered_json& values) {
  const std::string line = values.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + '\n';
  try {
    file_.write(line);
  } catch (const UserError&) {
    // A disk that fills up may have taken a part of the line. The write's failure is the one worth reporting.
    [[maybe_unused]] const int ignored = ::ftruncate(file_.get(), static_cast<off_t>(length_));
    throw;
  }
  length_ += line.size();
  ++lines_;
}

std::optional<ordered_json> last_metrics(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  constexpr uint64_t kTail = 1 << 16;  // longer than two lines
  FileDescriptor file(path, O_RDONLY);
  const uint64_t size = file.size();
  std::string tail(std::min(size, kTail), '\0');
  tail.resize(file.read_at(tail.data(), tail.size(), size - tail.size()));
  // What follows the last line's end is being written.
  const size_t end = tail.rfind('\n');
  if (end == std::string::npos) return std::nullopt;
  const size_t before = end == 0 ? std::string::npos : tail.rfind('\n', end - 1);
  const size_t begin = before == std::string::npos ? 0 : before + 1;
  auto values = parse_json_object(std::string_view(tail).substr(begin, end - begin));
  return values.is_object() ? std::optional(std::move(values)) : std::nullopt;
}

ordered_json metrics_line(const std::filesystem::path& path, int64_t count) {
  if (count == 0) return ordered_json::object();
  std::error_code error;
  if (!std::filesystem::exists(path, error)) refuse_missing_lines(path, 0, count);
  auto lines = read_metrics(path, count);
  if (std::ssize(lines) < count) refuse_missing_lines(path, std::ssize(lines), count);
  return lines.back();
}

std::vector<ordered_json> read_metrics(const std::filesystem::path& path, int64_t most) {
  const std::string text = read_file(path);
  std::vector<ordered_json> lines;
  size_t start = 0;
  while (start < text.size() && std::ssize(lines) < most) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = std::string_view(text).substr(start, end - start);
    ordered_json values = parse_json_object(line);
    if (values.is_object()) {
      lines.push_back(std::move(values));
    } else if (end < text.size()) {
      throw UserError(fmt::format("{}:{} is not a JSON object. Delete the line, or restore the file.", path.string(),
                                  lines.size() + 1));
    }
    start = end + 1;
  }
  return lines;
}

}  // namespace sgan
