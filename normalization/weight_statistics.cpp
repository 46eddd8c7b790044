#include "normalization/weight_statistics.h"

#include <torch/utils.h>

#include <cmath>
#include <limits>

namespace sgan {

WeightShape weight_shape_of(const torch::Tensor& weight) {
  torch::NoGradGuard no_grad;
  const auto values = weight.detach().to(torch::kDouble);
  const auto centred = values - values.mean();
  const auto variance = centred.square().mean();
  const auto scale = variance.sqrt().item<double>();
  if (!(scale > 0)) return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
  return {(centred / scale).pow(4).mean().item<double>(), values.abs().max().item<double>() / scale};
}

double RoundingError::relative_l2() const {
  return error_squares == 0 ? 0 : std::sqrt(error_squares / weight_squares);
}

double RoundingError::sqnr_db() const {
  if (error_squares == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(weight_squares / error_squares);
}

RoundingError& RoundingError::operator+=(const RoundingError& other) {
  error_squares += other.error_squares;
  weight_squares += other.weight_squares;
  return *this;
}

RoundingError rounding_error(const torch::Tensor& weight, const torch::Tensor& rounded) {
  torch::NoGradGuard no_grad;
  const auto exact = weight.detach().to(torch::kDouble);
  return {(rounded.detach().to(torch::kDouble) - exact).square().sum().item<double>(),
          exact.square().sum().item<double>()};
}

}  // namespace sgan
