#pragma once

namespace sgan {

// From here on the first Ctrl-C or SIGTERM only asks for a stop; a second one ends the process at once.
void catch_interrupts();
bool interrupt_requested();

}  // namespace sgan
