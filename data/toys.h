#pragma once

#include <cstdint>

#include "configs/options.h"
#include "data/dataset.h"

namespace sgan {

// options.count points in the plane, float32 (count, 2), drawn once; the seed alone decides them. options.std is the
// Gaussian noise on each coordinate, in the units of the points.
//   ring        options.modes Gaussians, evenly spaced on a circle of radius 2
//   grid        options.modes Gaussians on a square lattice with spacing 2 around the origin; UserError unless a square
//   swiss_roll  the roll of WGAN-GP's toy experiments (Gulrajani et al. 2017): sklearn's make_swiss_roll seen from the
//               side and divided by 7.5, about [-2, 2]; it has no modes
Dataset make_toy(const DataOptions& options, uint64_t seed);

}  // namespace sgan
