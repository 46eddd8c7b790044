#pragma once

#include "models/network.h"
#include "training/rate.h"

namespace sgan {

// The decay of step t (1 for the first): min(decay, (1 + t) / (10 + t)) with warm-up, so that early averages forget the
// initial weights; the constant without.
double ema_decay(const EmaOptions& options, int64_t step);

// average ← decay·average + (1 − decay)·source for parameters. Buffers (running statistics, u and v) are copied:
// averaged power-iteration vectors shrink, and the network's output explodes.
void update_ema(NetworkImpl& average, const NetworkImpl& source, const Rate& decay);

}  // namespace sgan
