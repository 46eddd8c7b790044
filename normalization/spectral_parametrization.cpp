#include "normalization/spectral_parametrization.h"

#include <torch/utils.h>

namespace sgan {

SpectralParametrizationImpl::SpectralParametrizationImpl(at::IntArrayRef shape, const SpectralOptions& options)
    : options_(options),
      original_(register_parameter("original", torch::zeros(shape))),
      vectors_(register_module("0", std::make_shared<torch::nn::Module>())) {}

torch::Tensor SpectralParametrizationImpl::add_vector(const std::string& name, at::IntArrayRef shape) {
  return vectors_->register_buffer(name, torch::zeros(shape));
}

torch::Tensor SpectralParametrizationImpl::effective() const {
  const auto sigma = estimate();
  // A zero weight stays zero, with the gradient of an unnormalized one, where 0 / 0 would end the run.
  return original_ / torch::where(sigma.abs() > options_.eps, sigma / options_.target, torch::ones_like(sigma));
}

torch::Tensor SpectralParametrizationImpl::sigma() const {
  torch::NoGradGuard no_grad;
  return estimate();
}

void SpectralParametrizationImpl::advance() {
  torch::NoGradGuard no_grad;
  for (int64_t i = 0; i < options_.power_iterations; ++i) power_step();
}

void SpectralParametrizationImpl::initialize(const torch::Tensor& weight, at::Generator generator) {
  torch::NoGradGuard no_grad;
  original_.copy_(weight);
  for (auto& vector : vectors_->buffers()) {
    vector.copy_(torch::randn(vector.sizes(), generator, vector.options()));
    vector.div_(vector.norm());
  }
  for (int64_t i = 0; i < options_.warmup; ++i) power_step();
}

}  // namespace sgan
