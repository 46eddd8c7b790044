#pragma once

#include <torch/types.h>

#include "lipschitz/convolution.h"
#include "normalization/operator_geometry.h"

namespace sgan {

// The layer as a matrix (out·m², in·n²) in float64, by applying the layer itself to unit vectors: for small layers, and
// for checking the bounds by a route of its own.
torch::Tensor dense_operator(const torch::Tensor& weight, const OperatorGeometry& geometry);

// TᵀT or TTᵀ, whichever is smaller, (d, d) in float64: assembled from products of pairs of taps, which costs far less
// than multiplying the sparse T as a dense matrix.
torch::Tensor gram_matrix(const Convolution& convolution);
int64_t gram_side(const Convolution& convolution);

}  // namespace sgan
