#pragma once

namespace sgan {

// How the program ends, where not with 0 (done) or 1 (failed).
constexpr int kUsage = 2;          // command line or config
constexpr int kBusy = 75;          // another process is writing the run
constexpr int kInterrupted = 130;  // after saving

}  // namespace sgan
