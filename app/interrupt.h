#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace sgan {

// Ctrl-C (SIGINT), SIGTERM, a closed terminal (SIGHUP) and SIGUSR1, by which schedulers warn, end a command.

// While there is nothing to save: at once, with the exit code 130 and the line `said`, a text that lasts. From here on
// also: a reader of stderr that goes away ends nothing, and a mapped cache that is cut short ends the process with a
// word why.
void end_on_interrupt(const char* said = nullptr);
inline constexpr const char* kNothingToSave = "stopped before the first step; there was nothing to save";

// While there is something to save: the first one only asks for a stop and says `said`, a text that lasts. Ctrl-C after
// it ends the process at once; other signals do not, for schedulers send several for one end: a warning and SIGTERM
// later, or SIGTERM to a process and to the one that passes it on.
void catch_interrupts(const char* said = "stopping after this step and saving; Ctrl-C to stop at once");
bool interrupt_requested();
// As if this process had been told to stop: another one of the run was.
void request_interrupt();

// What a mapped file that was cut short means, for run.json.
inline constexpr const char* kLostPage =
    "a mapped file was cut short while it was in use: most likely the cache of decoded images (data.cache)";

// While it lives, a mapped file that is cut short also leaves this text in this file, which takes the place of the one
// before: the process can compute nothing then. temporary: where it is written first, in the same folder.
class RecordedOnLostPage {
 public:
  RecordedOnLostPage(const std::filesystem::path& file, std::string text,
                     const std::optional<std::filesystem::path>& temporary);
  RecordedOnLostPage(const RecordedOnLostPage&) = delete;
  RecordedOnLostPage& operator=(const RecordedOnLostPage&) = delete;
  ~RecordedOnLostPage();

 private:
  std::string text_;
  std::string file_;
  std::string temporary_;
};

}  // namespace sgan
