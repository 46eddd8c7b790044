#pragma once

#include <cstdint>
#include <functional>

namespace sgan {

// Told now and then, on the caller's thread, how many of the files are loaded.
using LoadProgress = std::function<void(int64_t done, int64_t total)>;

}  // namespace sgan
