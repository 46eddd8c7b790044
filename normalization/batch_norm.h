#pragma once

#include "normalization/affine_norm.h"

namespace sgan {

// Norms over N, H, W per channel: in training a sample's output depends on its whole batch.

// Ioffe & Szegedy 2015: a biased variance in the output, an unbiased one in the running statistics.
class BatchNormImpl : public AffineNormImpl {
 public:
  explicit BatchNormImpl(int64_t channels);
  torch::Tensor forward(const torch::Tensor& input, Mode mode) override;
  bool uses_batch_statistics() const override { return true; }

 private:
  torch::Tensor running_mean_;
  torch::Tensor running_var_;
  torch::Tensor batches_;
};

// t − mean[t] + β (Salimans & Kingma 2016, section 4), made to follow weight normalization, which sets the variance.
class MeanOnlyBatchNormImpl : public ActivationNormImpl {
 public:
  explicit MeanOnlyBatchNormImpl(int64_t channels);
  torch::Tensor forward(const torch::Tensor& input, Mode mode) override;
  bool uses_batch_statistics() const override { return true; }
  void initialize() override;

 private:
  torch::Tensor bias_;
  torch::Tensor running_mean_;
};

}  // namespace sgan
