#include "normalization/scale_norm.h"

#include <torch/utils.h>

#include <cmath>

#include "normalization/affine_norm.h"

namespace sgan {
namespace {

// Every dimension of (N, C, …) but the first.
std::vector<int64_t> within_sample(const torch::Tensor& input) {
  std::vector<int64_t> dims;
  for (int64_t dim = 1; dim < input.dim(); ++dim) dims.push_back(dim);
  return dims;
}

}  // namespace

RmsNormImpl::RmsNormImpl(int64_t channels) : weight_(register_parameter("weight", torch::ones({channels}))) {}

torch::Tensor RmsNormImpl::forward(const torch::Tensor& input, Mode) {
  const auto x = input.to(weight_.scalar_type());
  const auto mean_square = x.square().mean(within_sample(x), /*keepdim=*/true);
  return x * (mean_square + kNormEps).rsqrt() * per_channel(weight_, x);
}

void RmsNormImpl::initialize() {
  torch::NoGradGuard no_grad;
  weight_.fill_(1);
}

ScaleNormImpl::ScaleNormImpl(Vector vector, const std::vector<int64_t>& sample_shape)
    : vector_(vector),
      initial_(std::sqrt(vector == Vector::position ? sample_shape[0] : c10::multiply_integers(sample_shape))),
      weight_(register_parameter("weight", torch::full({}, initial_))) {}

torch::Tensor ScaleNormImpl::forward(const torch::Tensor& input, Mode) {
  const auto x = input.to(weight_.scalar_type());
  const auto dims = vector_ == Vector::position ? std::vector<int64_t>{1} : within_sample(x);
  // The clamp stands below the root, whose derivatives at 0 are infinite.
  const auto length = x.square().sum(dims, /*keepdim=*/true).clamp_min(kLeastLength * kLeastLength).sqrt();
  return weight_ * x / length;
}

void ScaleNormImpl::initialize() {
  torch::NoGradGuard no_grad;
  weight_.fill_(initial_);
}

}  // namespace sgan
