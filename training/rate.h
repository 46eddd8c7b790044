#pragma once

#include <torch/types.h>

#include <variant>

namespace sgan {

// A number that may change with every update: one that the host knows, or a float64 scalar on the device that trains,
// which an update that was captured reads anew whenever it is replayed. On a CPU both give the same numbers, but for
// the last bit of a product that is added (SGD, RMSprop with momentum).
using Rate = std::variant<double, torch::Tensor>;

}  // namespace sgan
