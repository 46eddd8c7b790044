#pragma once

#include <string>

#include "configs/options.h"

namespace sgan {

// How a config stabilises its discriminator, in the names of its keys: "none", "spectral", "gp", "clip",
// "spectral+r1", "layer+gp" … in the order weight, norm, penalties, constraint.
std::string strategy_name(const Config& config);

}  // namespace sgan
