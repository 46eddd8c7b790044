#pragma once

#include "normalization/affine_norm.h"

namespace sgan {

// Norms by mean and variance within a sample.

// Over C, H, W (Ba et al. 2016, as WGAN-GP uses it) = GroupNorm(1, C).
class LayerNormImpl : public AffineNormImpl {
 public:
  using AffineNormImpl::AffineNormImpl;
  torch::Tensor forward(const torch::Tensor& input, Mode mode) override;
};

// Over C at each position = LayerNorm(C) on (N, H, W, C).
class PositionLayerNormImpl : public AffineNormImpl {
 public:
  using AffineNormImpl::AffineNormImpl;
  torch::Tensor forward(const torch::Tensor& input, Mode mode) override;
};

// Over H, W per channel (Ulyanov et al. 2016), without gain and bias, PyTorch's default.
class InstanceNormImpl : public ActivationNormImpl {
 public:
  // sample_shape: (C, H, W) of more than one position. Errors: UserError where there are none to average over.
  explicit InstanceNormImpl(const std::vector<int64_t>& sample_shape);
  torch::Tensor forward(const torch::Tensor& input, Mode mode) override;
  void initialize() override {}
};

}  // namespace sgan
