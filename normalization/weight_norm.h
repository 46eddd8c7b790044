#pragma once

#include "normalization/operator_geometry.h"
#include "normalization/weight_parametrization.h"

namespace sgan {

// Weight normalization (Salimans & Kingma 2016): w = g · v / ‖v‖, with a gain g and a direction v for each output
// channel. It is no Lipschitz constraint: with d outputs, gains of 1 allow a spectral norm of √d.
//
// As torch.nn.utils.parametrizations.weight_norm with `dim` the output dimension, in its state names too: `original0`
// is g, 1 in every dimension but the outputs', and `original1` is v. Of a transposed convolution that is dim 1;
// PyTorch's default there is 0, a norm for each input channel.
// Where ‖v‖ is at most 1e-12, w is g · v and not NaN, as PyTorch's is.
class WeightNormImpl : public WeightParametrizationImpl {
 public:
  explicit WeightNormImpl(const OperatorGeometry& geometry);

  torch::Tensor effective() const override;
  // g = ‖weight‖, v = weight.
  void initialize(const torch::Tensor& weight, at::Generator generator) override;

  // v / ‖v‖, shaped as the weight.
  torch::Tensor direction() const;
  // One for each output channel, (out); shared with the state.
  torch::Tensor gains() const;

 private:
  std::vector<int64_t> other_dims_;  // those that a norm is taken over
  torch::Tensor gains_;
  torch::Tensor directions_;
};
TORCH_MODULE(WeightNorm);

}  // namespace sgan
