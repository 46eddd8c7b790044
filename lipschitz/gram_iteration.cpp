#include "lipschitz/gram_iteration.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <cmath>

namespace sgan {

torch::Tensor gram_iteration_bound(const torch::Tensor& matrices, int64_t iterations) {
  torch::NoGradGuard no_grad;
  const auto norms = [](const torch::Tensor& m) { return m.flatten(1).abs().square().sum(1).sqrt(); };
  // Wide matrices: GGᴴ has GᴴG's eigenvalues and is the smaller.
  auto gram = matrices.size(1) <= matrices.size(2) ? matrices.mH() : matrices;
  auto norm = norms(gram);
  auto log_scale = torch::zeros_like(norm);  // the true G_t is e^log_scale · gram
  for (int64_t t = 0; t < iterations; ++t) {
    // A zero matrix stays zero, and its bound is zero whatever it is divided by.
    gram = gram / norm.where(norm > 0, torch::ones_like(norm)).view({-1, 1, 1});
    log_scale = 2 * (log_scale + norm.log());
    gram = torch::bmm(gram.mH(), gram);
    norm = norms(gram);
  }
  return ((log_scale + norm.log()) * std::ldexp(1.0, -static_cast<int>(iterations))).exp();
}

}  // namespace sgan
