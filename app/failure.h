#pragma once

#include <exception>
#include <string>

namespace sgan {

// Why something failed, for people and for run.json.
struct Failure {
  std::string kind;    // "diverged", what the watchdog stops for, "disk", "memory", "device", "process" (another one of
                       // the run was lost), "defect" (of this program) or "error"
  std::string what;    // the system's or LibTorch's words, without a backtrace
  std::string remedy;  // what to do before a run is gone on with, as "free some space"; "" where that would not help
};

Failure explain(const std::exception& error);

}  // namespace sgan
