#include "normalization/batch_norm.h"

#include <torch/utils.h>

namespace sgan {

BatchNormImpl::BatchNormImpl(int64_t channels)
    : AffineNormImpl(channels),
      running_mean_(register_buffer("running_mean", torch::zeros({channels}))),
      running_var_(register_buffer("running_var", torch::ones({channels}))),
      batches_(register_buffer("num_batches_tracked", torch::zeros({}, torch::kLong))) {}

torch::Tensor BatchNormImpl::forward(const torch::Tensor& input, Mode mode) {
  const bool moves = mode == Mode::train;
  if (moves) batches_.add_(1);
  const bool reads = moves || mode == Mode::eval;
  return torch::batch_norm(input, weight_, bias_, reads ? running_mean_ : torch::Tensor(),
                           reads ? running_var_ : torch::Tensor(), mode != Mode::eval, kNormMomentum, kNormEps,
                           /*cudnn_enabled=*/true);
}

MeanOnlyBatchNormImpl::MeanOnlyBatchNormImpl(int64_t channels)
    : bias_(register_parameter("bias", torch::zeros({channels}))),
      running_mean_(register_buffer("running_mean", torch::zeros({channels}))) {}

torch::Tensor MeanOnlyBatchNormImpl::forward(const torch::Tensor& input, Mode mode) {
  const auto x = input.to(bias_.scalar_type());
  if (mode == Mode::eval) return x + per_channel(bias_ - running_mean_, x);
  const auto mean = x.transpose(0, 1).flatten(1).mean(1);
  if (mode == Mode::train) running_mean_.lerp_(mean.detach(), kNormMomentum);
  return x + per_channel(bias_ - mean, x);
}

void MeanOnlyBatchNormImpl::initialize() {
  torch::NoGradGuard no_grad;
  bias_.zero_();
}

}  // namespace sgan
