#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>
#include <vector>

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

// The module of that kind for samples (C) or (C, H, W); null for NormKind::none. ε is 1e-5, running statistics take a
// tenth of each batch, and all start as the bare normalization, ScaleNorm at g = √d. Parameters have PyTorch's names.
//   batch            over N, H, W per channel (Ioffe & Szegedy 2015), γ, β
//   mean_only_batch  subtracts the mean over N, H, W per channel (Salimans & Kingma 2016), β
//   layer            over C, H, W per sample (Ba et al. 2016, as WGAN-GP uses it) = GroupNorm(1, C), γ, β per channel
//   layer_position   over C at each position, γ, β per channel
//   instance         over H, W per sample and channel (Ulyanov et al. 2016), no parameters
//   rms              divides by √(mean x² + ε) over C, H, W per sample (Zhang & Sennrich 2019), γ per channel
//   scale_sample     g · x / max(‖x‖, 1e-5) over C, H, W per sample (Nguyen & Salazar 2019), one g
//   scale_position   the same over C at each position
// Errors: UserError for instance where a sample has no positions to average over.
ActivationNorm make_activation_norm(NormKind kind, const std::vector<int64_t>& sample_shape);

// True for norms with a β of their own, or that subtract a channel's mean: a bias before them would do nothing.
bool replaces_bias(NormKind kind);

}  // namespace sgan
