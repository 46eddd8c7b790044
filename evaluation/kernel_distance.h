#pragma once

#include <torch/types.h>

#include <cstdint>

namespace sgan {

struct KernelDistanceOptions {
  int64_t subsets = 100;
  int64_t largest_subset = 1000;  // rows; half of the smaller set where that is less
  uint64_t seed = 0;
};

struct KernelDistance {
  double mean = 0.0;  // over the subsets
  double std = 0.0;   // over the subsets, divisor their number
  int64_t subsets = 0;
  int64_t size = 0;  // rows that a subset takes from each set
};

// The kernel distance of Bińkowski et al. 2018 (KID on Inception features): the unbiased estimate of MMD² under
// k(x, y) = (xᵀy/D + 1)³, over random subsets drawn without replacement. Its expectation does not depend on the sizes
// of the sets and is 0 for equal distributions, so it may come out negative. Float64.
// a, b: (N, D) and (M, D), N, M ≥ 4, float32 or float64, finite. Errors: c10::Error.
KernelDistance kernel_distance(const torch::Tensor& a, const torch::Tensor& b,
                               const KernelDistanceOptions& options = {});

// The same estimate on all pairs, N, M ≥ 2: O((N + M)² D) time, in blocks of `block_rows` rows.
double kernel_distance_of_all(const torch::Tensor& a, const torch::Tensor& b, int64_t block_rows = 1024);

}  // namespace sgan
