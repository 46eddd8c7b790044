#include "normalization/spectral_norm.h"

#include <torch/utils.h>

#include "normalization/reshape.h"

namespace sgan {

SpectralNormImpl::SpectralNormImpl(const std::vector<int64_t>& shape, int64_t output_dim,
                                   const SpectralOptions& options)
    : options_(options),
      output_dim_(output_dim),
      original_(register_parameter("original", torch::zeros(shape))),
      vectors_(register_module("0", std::make_shared<torch::nn::Module>())) {
  const auto matrix = reshaped();
  u_ = vectors_->register_buffer("_u", torch::zeros({matrix.size(0)}));
  v_ = vectors_->register_buffer("_v", torch::zeros({matrix.size(1)}));
}

torch::Tensor SpectralNormImpl::reshaped() const {
  return reshape_to_matrix(original_, output_dim_);
}

torch::Tensor SpectralNormImpl::estimate() const {
  // Clones, because a later advance() writes u and v in place while this graph may still wait for its backward pass.
  return torch::dot(u_.clone(), torch::mv(reshaped(), v_.clone()));
}

torch::Tensor SpectralNormImpl::effective() const {
  const auto sigma = estimate();
  // A zero weight stays zero, with the gradient of an unnormalized one, where 0 / 0 would end the run.
  return original_ / torch::where(sigma.abs() > options_.eps, sigma, torch::ones_like(sigma));
}

torch::Tensor SpectralNormImpl::sigma() const {
  torch::NoGradGuard no_grad;
  return estimate();
}

void SpectralNormImpl::advance() {
  for (int64_t i = 0; i < options_.power_iterations; ++i) power_step();
}

void SpectralNormImpl::power_step() {
  torch::NoGradGuard no_grad;
  const auto matrix = reshaped();
  const auto replace = [&](torch::Tensor& vector, const torch::Tensor& product) {
    const auto norm = product.norm();
    // The product of a zero weight keeps the old direction: a zero vector would never come back to life.
    vector.copy_(torch::where(norm > options_.eps, product / norm, vector));
  };
  replace(u_, torch::mv(matrix, v_));
  replace(v_, torch::mv(matrix.t(), u_));
}

void SpectralNormImpl::initialize(const torch::Tensor& weight, at::Generator generator) {
  torch::NoGradGuard no_grad;
  original_.copy_(weight);
  for (auto* vector : {&u_, &v_}) {
    vector->copy_(torch::randn(vector->sizes(), generator, vector->options()));
    vector->div_(vector->norm());
  }
  for (int64_t i = 0; i < options_.warmup; ++i) power_step();
}

}  // namespace sgan
