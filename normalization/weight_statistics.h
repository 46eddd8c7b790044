#pragma once

#include <torch/types.h>

namespace sgan {

// How long the tails of a layer's weights are. NaN where all weights are equal.
struct WeightShape {
  double kurtosis = 0;      // fourth central moment over the variance's square; a normal distribution has 3
  double max_over_std = 0;  // largest magnitude over the standard deviation (with N)
};

// In float64.
WeightShape weight_shape_of(const torch::Tensor& weight);

// What rounding has done to a weight.
struct RoundingError {
  double error_squares = 0;   // ‖rounded − weight‖²
  double weight_squares = 0;  // ‖weight‖²

  // ‖rounded − weight‖ / ‖weight‖; 0 for a weight that is all zeros and stays so.
  double relative_l2() const;
  // Signal to quantization noise ratio, 10 lg(‖weight‖² / ‖rounded − weight‖²) dB; infinite without an error.
  double sqnr_db() const;

  RoundingError& operator+=(const RoundingError& other);
};

// In float64.
RoundingError rounding_error(const torch::Tensor& weight, const torch::Tensor& rounded);

}  // namespace sgan
