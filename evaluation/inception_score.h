#pragma once

#include <torch/types.h>

#include <cstdint>

namespace sgan {

struct InceptionScore {
  double mean = 0.0;  // over the parts, 1 to K
  double std = 0.0;   // over the parts, divisor their number
  int64_t splits = 0;
};

// exp E KL(p(y|x) ‖ p(y)) of Salimans et al. 2016, over `splits` consecutive parts of the images, each with the mean of
// its own rows for p(y). A class of probability 0 adds nothing. Parts see what their place in the order gives them, so
// images must not be sorted by class.
// probabilities: (N, K), N ≥ splits, not negative, rows sum to 1 within 1e-3. Errors: c10::Error.
InceptionScore inception_score(const torch::Tensor& probabilities, int64_t splits = 10);

}  // namespace sgan
