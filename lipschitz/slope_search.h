#pragma once

#include <torch/types.h>

#include <cstdint>

#include "lipschitz/critic_slope.h"

namespace sgan {

struct SlopeSearch {
  double largest = 0;         // slope met
  torch::Tensor points = {};  // (K, …) where the search from each starting point ended
  torch::Tensor start = {};   // (K) slopes at the starting points
  torch::Tensor end = {};     // (K) slopes where the search from each of them ended
  int64_t steps = 0;
};

// Climbs ‖∇ₓf‖ from each of the points for `steps` steps. A piecewise linear critic has no gradient of its slope, so
// each step proposes three moves and keeps the best point met: along ∇f, against it, and along a random direction
// (seeded); where ∇‖∇f‖ exists, along that too. A start's stride halves when nothing better was found and grows again
// when there was. The first stride is `reach` of the points' typical length.
SlopeSearch climb_slope(const CriticFunction& critic, const torch::Tensor& points, int64_t steps, uint64_t seed,
                        double reach = 0.1);

}  // namespace sgan
