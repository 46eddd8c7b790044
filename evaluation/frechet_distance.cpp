#include "evaluation/frechet_distance.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <algorithm>

namespace sgan {
namespace {

void check(const Moments& moments) {
  TORCH_CHECK(moments.count >= 2, "moments must be of at least 2 rows, got ", moments.count);
  TORCH_CHECK(moments.mean.dim() == 1 && moments.mean.size(0) > 0 && moments.covariance.dim() == 2 &&
                  moments.covariance.size(0) == moments.mean.size(0) &&
                  moments.covariance.size(1) == moments.mean.size(0),
              "moments must be (D) and (D, D), D > 0, got ", moments.mean.sizes(), " and ", moments.covariance.sizes());
  TORCH_CHECK(moments.mean.isfinite().all().item<bool>() && moments.covariance.isfinite().all().item<bool>(),
              "moments must be finite");
}

// A (D, r) with AAᵀ = Σ. A covariance of N rows has rank N − 1 at most, so the eigenvalues beyond are rounding.
torch::Tensor factor(const Moments& moments) {
  const int64_t size = moments.mean.size(0);
  if (moments.count > size) {
    const auto [triangle, info] = at::linalg_cholesky_ex(moments.covariance);
    if (info.item<int>() == 0) return triangle;
  }
  const auto [eigenvalues, vectors] = at::linalg_eigh(moments.covariance);  // ascending
  const int64_t rank = std::min(moments.count - 1, size);
  return vectors.narrow(1, size - rank, rank) * eigenvalues.narrow(0, size - rank, rank).clamp_min(0).sqrt();
}

}  // namespace

double frechet_distance(const Moments& a, const Moments& b) {
  torch::NoGradGuard no_grad;
  check(a);
  check(b);
  TORCH_CHECK(a.mean.size(0) == b.mean.size(0), "moments must be of equally many features, got ", a.mean.size(0),
              " and ", b.mean.size(0));
  // With Σ₁ = AAᵀ and Σ₂ = BBᵀ the eigenvalues of Σ₁Σ₂ are the squared singular values of AᵀB. Taking them squared, as
  // the eigenvalues of Σ₁^½ Σ₂ Σ₁^½, would turn rounding of 1e-16 into 1e-8 for each that is zero.
  const auto trace_of_root = at::linalg_svdvals(at::mm(factor(a).t(), factor(b))).sum();
  const auto distance =
      (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * trace_of_root;
  return std::max(0.0, distance.item<double>());
}

}  // namespace sgan
