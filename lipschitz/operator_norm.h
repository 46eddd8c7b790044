#pragma once

#include <torch/types.h>

#include <string_view>
#include <vector>

#include "lipschitz/lanczos.h"
#include "normalization/operator_geometry.h"

namespace sgan {

struct NormBound {
  std::string_view method;
  double value = 0;
};

struct BracketOptions {
  int64_t exact_side = 1500;     // the smaller side of the dense operator up to which its norm is computed
  int64_t cholesky_side = 4096;  // and up to which its Gram matrix is factored; that takes 16 bytes · side²
  int64_t gram_iterations = 0;   // of the Gram iteration on the polyphase grid; 0: without it
  bool every_bound = false;      // bounds too that others make superfluous
  LanczosOptions lanczos = {};
};

// The norm of one layer as a linear operator, ℓ2 to ℓ2.
struct OperatorNorm {
  NormBound lower;      // attained by a vector, up to float64 rounding
  NormBound upper;      // the least of `uppers`
  double reshaped = 0;  // σ(R), which spectral normalization divides by; not the operator's norm
  bool reshaped_is_lower = false;
  bool exact = false;             // lower and upper are one computed value
  std::vector<NormBound> uppers;  // every upper bound that was computed
  double seconds = 0;
};

// Brackets the norm of the layer with this weight (of geometry.weight_shape(), any real dtype, as stored) in float64.
// The upper bounds hold in exact arithmetic and are inflated by 1 + 1e-9 against rounding. Throws UserError if the
// weight is not finite.
OperatorNorm bracket_operator_norm(const torch::Tensor& weight, const OperatorGeometry& geometry,
                                   const BracketOptions& options = {});

}  // namespace sgan
