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
  if (exchange_ != nullptr && mode != Mode::eval) return forward_exchanged(input, moves);
  const bool reads = moves || mode == Mode::eval;
  return torch::batch_norm(input, weight_, bias_, reads ? running_mean_ : torch::Tensor(),
                           reads ? running_var_ : torch::Tensor(), mode != Mode::eval, kNormMomentum, kNormEps,
                           /*cudnn_enabled=*/true);
}

torch::Tensor BatchNormImpl::forward_exchanged(const torch::Tensor& input, bool moves) {
  const auto x = input.to(weight_.scalar_type());
  const auto rows = x.transpose(0, 1).flatten(1);  // (C, N·H·W)
  const auto own_mean = rows.mean(1);
  const auto own_variance = (rows - own_mean.unsqueeze(1)).square().mean(1);
  const auto all = exchange_->gather(torch::cat({own_mean, own_variance}));
  const auto parts = all.chunk(2, 1);
  // Of equal parts: the mean of their means; the mean of their variances and the variance of their means (Chan et al.
  // 1979), which loses no digits as the difference of two large sums would.
  const auto mean = parts[0].mean(0);
  const auto variance = parts[1].mean(0) + (parts[0] - mean).square().mean(0);
  if (moves) {
    torch::NoGradGuard no_grad;
    const auto values = static_cast<double>(all.size(0) * rows.size(1));
    running_mean_.lerp_(mean, kNormMomentum);
    running_var_.lerp_(variance * (values / (values - 1)), kNormMomentum);
  }
  const auto scale = weight_ / (variance + kNormEps).sqrt();
  return ((x - per_channel(mean, x)) * per_channel(scale, x) + per_channel(bias_, x)).to(input.scalar_type());
}

MeanOnlyBatchNormImpl::MeanOnlyBatchNormImpl(int64_t channels)
    : bias_(register_parameter("bias", torch::zeros({channels}))),
      running_mean_(register_buffer("running_mean", torch::zeros({channels}))) {}

torch::Tensor MeanOnlyBatchNormImpl::forward(const torch::Tensor& input, Mode mode) {
  const auto x = input.to(bias_.scalar_type());
  if (mode == Mode::eval) return x + per_channel(bias_ - running_mean_, x);
  auto mean = x.transpose(0, 1).flatten(1).mean(1);
  if (exchange_ != nullptr) mean = exchange_->gather(mean).mean(0);
  if (mode == Mode::train) running_mean_.lerp_(mean.detach(), kNormMomentum);
  return x + per_channel(bias_ - mean, x);
}

void MeanOnlyBatchNormImpl::initialize() {
  torch::NoGradGuard no_grad;
  bias_.zero_();
}

}  // namespace sgan
