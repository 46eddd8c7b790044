#include "normalization/affine_norm.h"

#include <torch/utils.h>

namespace sgan {

torch::Tensor per_channel(const torch::Tensor& values, const torch::Tensor& input) {
  std::vector<int64_t> shape(static_cast<size_t>(input.dim()), 1);
  shape[1] = values.numel();
  return values.view(shape);
}

AffineNormImpl::AffineNormImpl(int64_t channels)
    : weight_(register_parameter("weight", torch::ones({channels}))),
      bias_(register_parameter("bias", torch::zeros({channels}))) {}

void AffineNormImpl::initialize() {
  torch::NoGradGuard no_grad;
  weight_.fill_(1);
  bias_.zero_();
}

}  // namespace sgan
