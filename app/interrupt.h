#pragma once

namespace sgan {

// Ctrl-C, SIGTERM and a closed terminal (SIGHUP) end a command.

// While there is nothing to save: at once, with the exit code 130. From here on also: a reader of stderr that goes away
// ends nothing, and a mapped cache that is cut short ends the process with a word why.
void end_on_interrupt();

// While there is something to save: the first one only asks for a stop and says `said`, a text that lasts; a second one
// of any kind ends the process at once.
void catch_interrupts(const char* said = "stopping after this step and saving; once more to stop at once");
bool interrupt_requested();

}  // namespace sgan
