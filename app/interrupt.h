#pragma once

namespace sgan {

// Ctrl-C, SIGTERM and a closed terminal (SIGHUP) end a command.

// While there is nothing to save: at once, with the exit code 130.
void end_on_interrupt();

// While training: the first one only asks for a stop; a second one of any kind ends the process at once.
void catch_interrupts();
bool interrupt_requested();

}  // namespace sgan
