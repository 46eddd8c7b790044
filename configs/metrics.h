#pragma once

#include <optional>
#include <string>
#include <vector>

#include "configs/options.h"

namespace sgan {

// "fd,kd,swd" → those metrics, each once, in that order; nothing for a name that is none, or for an empty list. "auto",
// which depends on the data, is the caller's.
std::optional<std::vector<Metric>> parse_metrics(const std::string& text);

}  // namespace sgan
