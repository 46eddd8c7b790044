#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include "configs/options.h"
#include "normalization/operator_geometry.h"

namespace sgan {

// Weights on a grid: weight = scale · (2 code / span − 1).
struct QuantizedWeight {
  torch::Tensor codes;  // uint8, shaped as the weight, at most `span`
  int64_t span = 2;     // 2^b − 2 where the grid is symmetric about a 0 of its own, 2^b − 1 for DoReFa's
  torch::Tensor scale;  // float32: (1), or (out) by output channel
};

// The weight that it stands for, float32. output_dim: the channels' dimension.
torch::Tensor dequantize(const QuantizedWeight& quantized, int64_t output_dim);

// How a trained weight is put on a grid afterwards.
enum class Clipping {
  max,  // the largest magnitude becomes the largest level
  mse,  // the scale that makes the squared error least, found by search among clipped ones
};

// Symmetric quantization of a weight to `bits` (2 to 8), at most 2^bits − 1 levels by layer or output channel.
QuantizedWeight quantize(const torch::Tensor& weight, int64_t bits, QuantizerGroup per, Clipping clipping,
                         int64_t output_dim);

// Makes the weights a layer computes with of those that are trained, in each forward pass, with gradients that pass
// straight through the rounding (Bengio et al. 2013) and exactly through everything else.
//
// wnq: s · Q(w / max|w|), Q(x) = round(n x) / n, n = 2^(b−1) − 1: a reconstruction of weight-normalization-based
//   quantization (Cai & Li 2019, arXiv 1907.00593), whose full text was not at hand. By the true gradient through the
//   maximum, ⟨w, ∇w⟩ = 0; of ties the first is the largest. 0 bits: no rounding.
// dorefa: s · (2 q(tanh w / (2 max|tanh w|) + ½) − 1), q(x) = round((2^b − 1) x) / (2^b − 1), (Zhou et al. 2016,
//   section 2.3), where s is 1.
// twn: α sign(w) where |w| > Δ, else 0; Δ = 0.7 mean|w|, α the mean magnitude beyond it (Li & Liu 2016).
// A weight that is all zeros stays so.
class WeightQuantizerImpl : public torch::nn::Module {
 public:
  WeightQuantizerImpl(QuantizerKind kind, int64_t bits, const QuantizerOptions& options,
                      const OperatorGeometry& geometry);

  torch::Tensor forward(const torch::Tensor& weight) const;
  // What forward() makes, as levels and a scale. Errors: c10::Error where nothing is rounded.
  QuantizedWeight quantize(const torch::Tensor& weight) const;
  // The scale of a weight that is about to be trained: its largest magnitude.
  void initialize(const torch::Tensor& weight);

  QuantizerKind kind() const { return kind_; }
  int64_t bits() const { return bits_; }

 private:
  // What the rounding is applied to and what it gives, for a weight as (groups, weights of one).
  struct Grid {
    torch::Tensor codes;  // whole numbers as floats, without gradient; undefined where nothing is rounded
    int64_t span;
    torch::Tensor values;  // in [-1, 1]: 2 codes / span − 1 with the gradient of what was rounded
    torch::Tensor scale;   // (groups, 1)
  };
  Grid grid_of(const torch::Tensor& rows) const;
  torch::Tensor scale_for(const torch::Tensor& rows, const torch::Tensor& values) const;

  QuantizerKind kind_;
  int64_t bits_;
  QuantizerOptions options_;
  int64_t output_dim_;
  torch::Tensor scale_;  // (groups): a parameter if learned, a buffer if fixed, undefined if fitted
};
TORCH_MODULE(WeightQuantizer);

// Rounds what goes into a layer: PACT (Choi et al. 2018), clip(x) to [0, α] after a ReLU, else to [-α, α], rounded to
// 2^b − 1 steps or 2^b − 2; α is trained, by the elements beyond it.
class ActivationQuantizerImpl : public torch::nn::Module {
 public:
  ActivationQuantizerImpl(int64_t bits, bool not_negative);

  torch::Tensor forward(const torch::Tensor& input) const;
  void initialize();

 private:
  double steps_;
  bool not_negative_;
  torch::Tensor clip_;
};
TORCH_MODULE(ActivationQuantizer);

}  // namespace sgan
