#include "lipschitz/frequency_bounds.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "lipschitz/gram_iteration.h"
#include "lipschitz/reshape_bounds.h"

namespace sgan {
namespace {

// e^{2πi θ·a/grid}, (count, taps).
torch::Tensor phases(int64_t count, int64_t taps, int64_t grid, const torch::TensorOptions& options) {
  const auto turns = torch::outer(torch::arange(count, options), torch::arange(taps, options)).remainder(grid) / grid;
  return torch::polar(torch::ones_like(turns), turns * (2 * std::numbers::pi));
}

// Gives `visit` the symbols of one row of frequencies after the other, (grid/2 + 1, rows, columns) with rows ≤ columns:
// a real kernel's other frequencies are conjugates, and a transposed symbol has the same singular values.
void for_each_row(const torch::Tensor& kernel, int64_t grid,
                  const std::function<void(const torch::Tensor& symbols)>& visit) {
  const auto wide = kernel.size(0) <= kernel.size(1) ? kernel : kernel.transpose(0, 1);
  const int64_t taps = kernel.size(2);
  const auto vertical = phases(grid, taps, grid, kernel.options());
  const auto horizontal = phases(grid / 2 + 1, taps, grid, kernel.options());
  const auto columns = wide.permute({2, 3, 0, 1}).reshape({taps, -1}).to(torch::kComplexDouble);
  for (int64_t row = 0; row < grid; ++row) {
    const auto column_taps = torch::mv(columns.t(), vertical[row]).view({taps, -1});
    visit(torch::mm(horizontal, column_taps).view({-1, wide.size(0), wide.size(1)}));
  }
}

// max(largest, eigenvalues of the Hermitian matrices (N, d, d)), exceeding it by no more than 1 + 1e-10. A Cholesky
// factorization of largest − H proves at a fraction of an eigensolver's cost that H cannot raise it.
double raise(double largest, torch::Tensor matrices) {
  const auto identity = torch::eye(matrices.size(1), matrices.options());
  while (matrices.size(0) > 0) {
    const auto failed = std::get<1>(torch::linalg_cholesky_ex(largest * (1 + 1e-10) * identity - matrices));
    matrices = matrices.index_select(0, failed.nonzero().flatten());
    if (matrices.size(0) == 0) break;
    const auto likely = matrices.flatten(1).abs().square().sum(1).argmax().item<int64_t>();
    largest = std::max(largest, torch::linalg_eigvalsh(matrices[likely]).max().item<double>());
    matrices =
        torch::cat({matrices.narrow(0, 0, likely), matrices.narrow(0, likely + 1, matrices.size(0) - likely - 1)});
  }
  return largest;
}

}  // namespace

double circular_norm(const torch::Tensor& kernel, int64_t grid) {
  torch::NoGradGuard no_grad;
  double largest = 0;
  for_each_row(kernel, grid,
               [&](const torch::Tensor& symbols) { largest = raise(largest, torch::bmm(symbols, symbols.mH())); });
  const auto side = static_cast<double>(std::min(kernel.size(0), kernel.size(1)));
  return std::sqrt(largest) * (1 + 2 * side * side * std::numeric_limits<double>::epsilon());
}

double circular_norm_by_gram_iteration(const torch::Tensor& kernel, int64_t grid, int64_t iterations) {
  torch::NoGradGuard no_grad;
  double largest = 0;
  for_each_row(kernel, grid, [&](const torch::Tensor& symbols) {
    largest = std::max(largest, gram_iteration_bound(symbols, iterations).max().item<double>());
  });
  return largest;
}

int64_t certified_grid(const Convolution& convolution) {
  // Windows wholly outside give zeros and do not count, so no window reaches further out than k − 1.
  const int64_t circle = convolution.in_size + std::min(convolution.padding, convolution.kernel() - 1);
  return (circle + convolution.stride - 1) / convolution.stride;
}

double polyphase_bound(const Convolution& convolution) {
  return circular_norm(polyphase_kernel(convolution.weight, convolution.stride), certified_grid(convolution));
}

double polyphase_gram_bound(const Convolution& convolution, int64_t iterations) {
  return circular_norm_by_gram_iteration(polyphase_kernel(convolution.weight, convolution.stride),
                                         certified_grid(convolution), iterations);
}

double stride_free_bound(const Convolution& convolution) {
  auto dense_rows = convolution;
  dense_rows.stride = 1;
  return circular_norm(dense_rows.weight, certified_grid(dense_rows));
}

}  // namespace sgan
