#pragma once

#include <string>

#include "configs/options.h"

namespace sgan {

// How a config stabilises its discriminator, in the names of its keys: "none", "spectral", "gp", "clip",
// "spectral+r1", "layer+gn", "orthogonal_penalty" … in the order weight, norm, "gn" for gradient normalization,
// penalties, constraint.
std::string strategy_name(const Config& config);

// Whether a penalty is on the weights; the others are on the critic's gradient.
bool is_on_weights(PenaltyKind kind);

}  // namespace sgan
