#include "lipschitz/reshaped_sigma.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include "normalization/reshape.h"

namespace sgan {

torch::Tensor reshaped_sigma(const torch::Tensor& weight, int64_t output_dim) {
  torch::NoGradGuard no_grad;
  auto matrix = reshape_to_matrix(weight, output_dim).to(torch::kDouble);
  if (matrix.size(0) > matrix.size(1)) matrix = matrix.t();
  const auto eigenvalues = torch::linalg_eigvalsh(torch::mm(matrix, matrix.t()));
  return eigenvalues.max().clamp_min(0).sqrt();
}

}  // namespace sgan
