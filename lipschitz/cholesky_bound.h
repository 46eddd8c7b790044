#pragma once

#include <torch/types.h>

#include <optional>

namespace sgan {

// The least λ = lower·(1 + δ), δ = 1e-6, 1e-5, … below `limit`, for which λ² − G is positive definite, which proves
// that √‖G‖ < λ. gram: (d, d), float64, overwritten. The result includes the worst that rounding can do to the proof:
// the factorization is exact for a matrix d²·ε·λ² away (Rump 2006), and G is as far from exact at most.
std::optional<double> cholesky_bound(torch::Tensor gram, double lower, double limit);

}  // namespace sgan
