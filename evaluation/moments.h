#pragma once

#include <torch/types.h>

#include <cstdint>

namespace sgan {

// Of N rows of D features: what a Fréchet distance compares.
struct Moments {
  int64_t count = 0;         // N
  torch::Tensor mean;        // (D) float64
  torch::Tensor covariance;  // (D, D) float64, divisor N − 1
};

// Adds up mean and covariance of features that arrive in parts, in float64 and in the memory of two (D, D) matrices.
// Parts are merged as sums of squared deviations from their own means (Chan, Golub & LeVeque 1979), so a mean that is
// large beside the spread costs no digits.
class MomentAccumulator {
 public:
  // features: (n, D) float32 or float64, finite, any n; D and the device are those of the first call. Errors:
  // c10::Error.
  void add(const torch::Tensor& features);

  int64_t count() const { return count_; }

  // Errors: c10::Error below two rows, which have no covariance.
  Moments moments() const;

 private:
  void merge(const torch::Tensor& block);

  int64_t count_ = 0;
  torch::Tensor mean_;        // (D)
  torch::Tensor deviations_;  // (D, D), Σ (x − mean)(x − mean)ᵀ
};

// Of features (N, D), N ≥ 2, float32 or float64.
Moments moments_of(const torch::Tensor& features);

}  // namespace sgan
