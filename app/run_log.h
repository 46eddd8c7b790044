#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sgan {

// Adds a line to a run's log.txt, as a run in progress does. A disk that refuses it is not told of: what the line says
// is in run.json too.
void log_line(const std::filesystem::path& log, const std::string& text);

// Takes out what the log says of steps after `step`, and a last line that is not whole: they are done again, and
// logged again. What else happened, such as errors, stays.
void forget_later_steps(const std::filesystem::path& log, int64_t step);

}  // namespace sgan
