#pragma once

#include "normalization/activation_norm.h"

namespace sgan {

// Norms that divide by a length and subtract no mean.

constexpr double kLeastLength = 1e-5;  // that ScaleNorm takes for any shorter one

// x / √(mean x² + ε) · γ over C, H, W per sample, γ per channel (Zhang & Sennrich 2019).
class RmsNormImpl : public ActivationNormImpl {
 public:
  explicit RmsNormImpl(int64_t channels);
  torch::Tensor forward(const torch::Tensor& input, Mode mode) override;
  void initialize() override;

 private:
  torch::Tensor weight_;
};

// g · x / max(‖x‖, 1e-5) with one number g, at first √d for vectors x of length d (Nguyen & Salazar 2019).
class ScaleNormImpl : public ActivationNormImpl {
 public:
  // What a vector is: a whole sample, d = C·H·W, or the channels at one position, d = C.
  enum class Vector { sample, position };

  ScaleNormImpl(Vector vector, const std::vector<int64_t>& sample_shape);
  torch::Tensor forward(const torch::Tensor& input, Mode mode) override;
  void initialize() override;

 private:
  Vector vector_;
  double initial_;
  torch::Tensor weight_;
};

}  // namespace sgan
