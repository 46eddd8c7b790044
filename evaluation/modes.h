#pragma once

#include <cstdint>

#include <torch/types.h>

namespace sgan {

struct ModeCoverage {
  int64_t modes = 0;          // that there are
  int64_t covered = 0;        // that samples reach
  double high_quality = 0.0;  // share of the samples, 0 to 1
};

// The measures of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018): a sample is of high quality if it lies
// within three standard deviations of its nearest mode, and a mode is covered if it is the nearest to at least one
// sample of high quality. Of points drawn from the mixture itself, 1 - exp(-9/2) = 98.9 % are of high quality.
// points: (N, 2); centres: (K, 2); std: of each coordinate, around every centre.
ModeCoverage mode_coverage(const torch::Tensor& points, const torch::Tensor& centres, double std);

}  // namespace sgan
