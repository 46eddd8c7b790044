#include "normalization/weight_norm.h"

#include <torch/utils.h>

namespace sgan {
namespace {

constexpr double kLeastNorm = 1e-12;

std::vector<int64_t> dims_without(int64_t excluded, size_t count) {
  std::vector<int64_t> dims;
  for (int64_t i = 0; i < static_cast<int64_t>(count); ++i) {
    if (i != excluded) dims.push_back(i);
  }
  return dims;
}

std::vector<int64_t> gains_shape(const OperatorGeometry& geometry) {
  std::vector<int64_t> shape(geometry.weight_shape().size(), 1);
  shape[static_cast<size_t>(geometry.output_dim())] = geometry.out_channels;
  return shape;
}

}  // namespace

WeightNormImpl::WeightNormImpl(const OperatorGeometry& geometry)
    : other_dims_(dims_without(geometry.output_dim(), geometry.weight_shape().size())),
      gains_(register_parameter("original0", torch::zeros(gains_shape(geometry)))),
      directions_(register_parameter("original1", torch::zeros(geometry.weight_shape()))) {}

torch::Tensor WeightNormImpl::direction() const {
  const auto squares = directions_.square().sum(other_dims_, /*keepdim=*/true);
  // Replaced before the root, whose slope at 0 is infinite.
  const auto norms = torch::where(squares > kLeastNorm * kLeastNorm, squares, torch::ones_like(squares)).sqrt();
  return directions_ / norms;
}

torch::Tensor WeightNormImpl::effective() const {
  return gains_ * direction();
}

torch::Tensor WeightNormImpl::gains() const {
  return gains_.detach().view(-1);
}

void WeightNormImpl::initialize(const torch::Tensor& weight, at::Generator) {
  torch::NoGradGuard no_grad;
  directions_.copy_(weight);
  gains_.copy_(directions_.square().sum(other_dims_, /*keepdim=*/true).sqrt());
}

}  // namespace sgan
