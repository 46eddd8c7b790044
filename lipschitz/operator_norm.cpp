#include "lipschitz/operator_norm.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "configs/error.h"
#include "lipschitz/cholesky_bound.h"
#include "lipschitz/convolution.h"
#include "lipschitz/dense_operator.h"
#include "lipschitz/frequency_bounds.h"
#include "lipschitz/reshape_bounds.h"
#include "lipschitz/reshaped_sigma.h"

namespace sgan {
namespace {

constexpr double kInflation = 1 + 1e-9;

void set_exact(OperatorNorm& norm, std::string_view method, double value) {
  norm.exact = true;
  norm.lower = {method, value};
  norm.uppers = {{method, value * kInflation}};
}

void bracket(OperatorNorm& norm, const Convolution& convolution, const BracketOptions& options) {
  const double attained = attained_norm(convolution, options.lanczos);
  norm.lower = {"lanczos", attained};
  if (norm.reshaped_is_lower && norm.reshaped > attained) norm.lower = {"reshape svd", norm.reshaped};

  const auto add = [&](std::string_view method, double value) { norm.uppers.push_back({method, value * kInflation}); };
  add("reshape svd, overlap", overlap_bound(convolution));
  add("four reshapes svd", four_reshapes_bound(convolution));
  if (options.gram_iterations > 0) add("gram iteration", polyphase_gram_bound(convolution, options.gram_iterations));
  add("polyphase fft", polyphase_bound(convolution));
  if (options.every_bound && convolution.stride > 1) add("fft", stride_free_bound(convolution));

  const double least = std::ranges::min_element(norm.uppers, {}, &NormBound::value)->value;
  if (gram_side(convolution) > options.cholesky_side) return;
  if (const auto bound = cholesky_bound(gram_matrix(convolution), norm.lower.value, least)) add("cholesky", *bound);
}

}  // namespace

OperatorNorm bracket_operator_norm(const torch::Tensor& weight, const OperatorGeometry& geometry,
                                   const BracketOptions& options) {
  torch::NoGradGuard no_grad;
  const auto start = std::chrono::steady_clock::now();
  if (!weight.isfinite().all().item<bool>()) {
    throw UserError(
        "A layer's weights hold values that are not finite, so it has no norm. Choose an earlier checkpoint, from "
        "before the run diverged.");
  }
  const auto convolution = norm_equivalent_convolution(weight, geometry);

  OperatorNorm norm;
  norm.reshaped = reshaped_sigma(weight, geometry.output_dim()).item<double>();
  norm.reshaped_is_lower = reshaped_sigma_is_lower_bound(geometry);
  if (geometry.kind == OperatorKind::linear) {
    set_exact(norm, "exact svd", norm.reshaped);
  } else if (gram_side(convolution) <= options.exact_side) {
    const auto eigenvalues = torch::linalg_eigvalsh(gram_matrix(convolution));
    set_exact(norm, "exact dense", std::sqrt(eigenvalues.max().clamp_min(0).item<double>()));
  } else {
    bracket(norm, convolution, options);
  }
  norm.upper = *std::ranges::min_element(norm.uppers, {}, &NormBound::value);
  norm.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return norm;
}

}  // namespace sgan
