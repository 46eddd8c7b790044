#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>

#include "configs/options.h"

namespace sgan {

// What a forward pass may use and move.
enum class Mode {
  train,         // statistics of the batch; running statistics move: a network's own step
  train_frozen,  // statistics of the batch; nothing moves: the other network's step
  eval,          // running statistics; nothing moves: grids, scores, probes
};

// Normalizes activations (N, C) or (N, C, H, W), shape kept.
class ActivationNormImpl : public torch::nn::Module {
 public:
  virtual torch::Tensor forward(const torch::Tensor& input, Mode mode) = 0;
  // True where one sample's output depends on the rest of the batch.
  virtual bool uses_batch_statistics() const { return false; }
  virtual void initialize() = 0;
};

using ActivationNorm = std::shared_ptr<ActivationNormImpl>;

// The module of that kind for C channels; null for NormKind::none.
//   batch  over N, H, W per channel (Ioffe & Szegedy 2015): ε 1e-5, momentum 0.1, unbiased running variance
//   layer  over C, H, W per sample with γ, β per channel (Ba et al. 2016, as WGAN-GP uses it) = GroupNorm(1, C)
ActivationNorm make_activation_norm(NormKind kind, int64_t channels);

}  // namespace sgan
