#pragma once

#include "normalization/affine_norm.h"
#include "normalization/batch_exchange.h"

namespace sgan {

// Norms over N, H, W per channel: in training a sample's output depends on its whole batch. Where several processes
// have equal parts of it and exchange_with() was given their exchange, that is the batch of all of them.

// Ioffe & Szegedy 2015: a biased variance in the output, an unbiased one in the running statistics.
class BatchNormImpl : public AffineNormImpl, public BatchStatistics {
 public:
  explicit BatchNormImpl(int64_t channels);
  torch::Tensor forward(const torch::Tensor& input, Mode mode) override;
  bool uses_batch_statistics() const override { return true; }

 private:
  torch::Tensor forward_exchanged(const torch::Tensor& input, bool moves);

  torch::Tensor running_mean_;
  torch::Tensor running_var_;
  torch::Tensor batches_;
};

// t − mean[t] + β (Salimans & Kingma 2016, section 4), made to follow weight normalization, which sets the variance.
class MeanOnlyBatchNormImpl : public ActivationNormImpl, public BatchStatistics {
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
