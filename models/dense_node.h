#pragma once

#include "models/composition.h"

namespace sgan {

// Whether the node is a dense layer, which reads images in whatever layout they have.
bool is_dense(const Node& node);

}  // namespace sgan
