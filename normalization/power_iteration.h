#pragma once

#include <torch/types.h>

namespace sgan {

// Makes `unit` the direction of `product`, in place, without graph. A product no longer than eps, which a zero weight
// gives, leaves it as it is: a zero vector would never come back to life.
void turn_towards(torch::Tensor& unit, const torch::Tensor& product, double eps);

// The leading singular vectors of a matrix R as power iteration tracks them: u (rows), v (columns), both of length 1.
struct SingularPair {
  torch::Tensor u;
  torch::Tensor v;

  // u ← R v / ‖R v‖,  v ← Rᵀ u / ‖Rᵀ u‖
  void step(const torch::Tensor& matrix, double eps);
  // uᵀ R v, at most σ(R). Differentiable in the matrix, with u and v constant.
  torch::Tensor estimate(const torch::Tensor& matrix) const;
};

}  // namespace sgan
