#pragma once

#include "app/processes.h"
#include "app/session.h"

namespace sgan {

// A run of several processes is its first one's: that reads and writes the run folder, and the others follow. They get
// config and state from it, load the data themselves and make their part of every update.

// The first process's word that training begins, or begins again after a rollback, from this state.
void lead(Processes& processes, const Config& config, Prepared& prepared);

// After a DivergenceError, on every process: returns where all of them have it. Where one is gone, values that it was
// to give are missing from the others' sums, which is no divergence. Errors: LostProcessError.
void confirm_divergence(Processes& processes);

// All that another process does, until the first one has no more for it. Errors: UserError, LostProcessError; ExitCode
// where the run was interrupted.
void follow(Processes& processes);

}  // namespace sgan
