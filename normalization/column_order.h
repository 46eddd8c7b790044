#pragma once

#include <torch/types.h>

namespace sgan {

// A weight as the matrix (outputs, everything else), its columns in an order that costs no copy where there is one: a
// convolution's weight with its channels last has them as (kh, kw, in) and not (in, kh, kw). All that follows is for
// that order. output_dim: which of the weight's dimensions counts the outputs.
torch::Tensor matrix_as_it_lies(const torch::Tensor& weight, int64_t output_dim);

// A vector over the columns that is stored in the order (in, kh, kw), as a view, of as many dimensions as it takes,
// whose elements come in the matrix's order.
torch::Tensor in_column_order(const torch::Tensor& stored, const torch::Tensor& weight, int64_t output_dim);

// Vectors over the matrix's rows and columns as views that broadcast to the weight: their product is the weight-shaped
// u vᵀ.
torch::Tensor over_rows(const torch::Tensor& u, const torch::Tensor& weight, int64_t output_dim);
torch::Tensor over_columns(const torch::Tensor& v, const torch::Tensor& weight, int64_t output_dim);

}  // namespace sgan
