#pragma once

#include <spdlog/logger.h>
#include <cstdint>

#include <filesystem>
#include <memory>
#include <string>

namespace sgan {

// What writes a run's log.txt, line by line. A disk that refuses it is not told of: it refuses the checkpoint too, and
// that is told as the run's failure.
std::shared_ptr<spdlog::logger> open_log(const std::filesystem::path& log);
// Adds a line, as a run in progress does.
void log_line(const std::filesystem::path& log, const std::string& text);

// Takes out what the log says of steps after `step`, and a last line that is not whole: they are done again, and
// logged again. What else happened, such as errors, stays.
void forget_later_steps(const std::filesystem::path& log, int64_t step);

}  // namespace sgan
