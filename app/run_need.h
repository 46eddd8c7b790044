#pragma once

#include <cstdint>
#include <vector>

#include "configs/options.h"

namespace sgan {

// What a run of a config needs, counted from its networks' shapes.
struct RunNeed {
  int64_t generator = 0;  // parameters
  int64_t discriminator = 0;
  int64_t memory = 0;        // bytes of the networks' numbers, with gradients and what the optimizers keep
  int64_t activations = 0;   // bytes that an update holds besides, about
  int64_t checkpoint = 0;    // bytes that a checkpoint keeps
  double multiply_adds = 0;  // of the linear maps in one update of each network, without penalties
};

// sample_shape: {C, H, W} or {2}. Errors: UserError where the networks cannot make that shape.
RunNeed need_of(const Config& config, const std::vector<int64_t>& sample_shape);

}  // namespace sgan
