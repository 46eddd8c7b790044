#include "lipschitz/cholesky_bound.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <limits>
#include <tuple>

namespace sgan {

std::optional<double> cholesky_bound(torch::Tensor gram, double lower, double limit) {
  torch::NoGradGuard no_grad;
  if (!(lower > 0)) return std::nullopt;  // nothing to be just above of
  const auto side = static_cast<double>(gram.size(0));
  const double rounding = side * side * std::numeric_limits<double>::epsilon();
  gram.neg_();
  double on_diagonal = 0;
  for (double excess = 1e-6; lower * (1 + excess) < limit; excess *= 10) {
    const double bound = lower * (1 + excess);
    gram.diagonal().add_(bound * bound - on_diagonal);
    on_diagonal = bound * bound;
    if (std::get<1>(torch::linalg_cholesky_ex(gram)).item<int64_t>() == 0) return bound * (1 + rounding);
  }
  return std::nullopt;
}

}  // namespace sgan
