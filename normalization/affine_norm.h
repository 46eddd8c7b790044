#pragma once

#include "normalization/activation_norm.h"

namespace sgan {

constexpr double kNormEps = 1e-5;      // PyTorch's ε below a variance
constexpr double kNormMomentum = 0.1;  // PyTorch's share of a batch in the running statistics

// Values (C) in the shape that broadcasts over activations like `input`, (N, C) or (N, C, H, W).
torch::Tensor per_channel(const torch::Tensor& values, const torch::Tensor& input);

// Gain γ = 1 and bias β = 0 per channel, as `weight` and `bias`.
class AffineNormImpl : public ActivationNormImpl {
 public:
  explicit AffineNormImpl(int64_t channels);
  void initialize() override;

 protected:
  torch::Tensor weight_;
  torch::Tensor bias_;
};

}  // namespace sgan
