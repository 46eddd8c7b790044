#pragma once

#include "lipschitz/convolution.h"

namespace sgan {

struct LanczosOptions {
  int64_t max_steps = 100;
  double tolerance = 1e-10;  // relative change of the estimate, four steps in a row, at which it stops
  uint64_t seed = 0;
};

// A lower bound of ‖T‖: ‖Tx‖/‖x‖ for the x that the Lanczos process on TᵀT finds from a random start. It is power
// iteration that also uses the iterates it has passed, so it is never behind and needs far fewer steps.
double attained_norm(const Convolution& convolution, const LanczosOptions& options);

}  // namespace sgan
