#pragma once

#include <torch/types.h>

#include "normalization/operator_geometry.h"

namespace sgan {

// The convolution T that has a layer's operator norm: y[o, j] = Σ W[o, c, a] x[c, s·j + a − p] with x = 0 outside of
// [0, in_size)². A convolution is its own; a transposed one is the adjoint of its T; a linear layer is 1×1 on one
// pixel.
struct Convolution {
  torch::Tensor weight;  // (out, in, k, k), float64
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t in_size = 1;
  int64_t out_size = 1;

  int64_t kernel() const { return weight.size(2); }
  int64_t in_values() const { return weight.size(1) * in_size * in_size; }
  int64_t out_values() const { return weight.size(0) * out_size * out_size; }

  torch::Tensor apply(const torch::Tensor& x) const;          // (N, in, n, n) → (N, out, m, m)
  torch::Tensor apply_adjoint(const torch::Tensor& y) const;  // (N, out, m, m) → (N, in, n, n)
};

// weight: of the geometry's weight_shape(), else c10::Error.
Convolution norm_equivalent_convolution(const torch::Tensor& weight, const OperatorGeometry& geometry);

}  // namespace sgan
