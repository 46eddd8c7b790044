#include "normalization/power_iteration.h"

#include <torch/utils.h>

namespace sgan {

void turn_towards(torch::Tensor& unit, const torch::Tensor& product, double eps) {
  torch::NoGradGuard no_grad;
  const auto norm = product.norm();
  unit.copy_(torch::where(norm > eps, product / norm, unit));
}

void SingularPair::step(const torch::Tensor& matrix, double eps) {
  torch::NoGradGuard no_grad;
  turn_towards(u, torch::mv(matrix, v), eps);
  turn_towards(v, torch::mv(matrix.t(), u), eps);
}

torch::Tensor SingularPair::estimate(const torch::Tensor& matrix) const {
  // Clones, because a later step() writes u and v in place while this graph may still wait for its backward pass.
  return torch::dot(u.clone(), torch::mv(matrix, v.clone()));
}

}  // namespace sgan
