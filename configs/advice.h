#pragma once

#include <string>
#include <vector>

#include "configs/options.h"

namespace sgan {

// What the literature says against combinations that a config is free to make: a sentence each, with its source.
std::vector<std::string> advice(const Config& config);

}  // namespace sgan
