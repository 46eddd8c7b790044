#pragma once

#include "normalization/weight_parametrization.h"

namespace sgan {

// A linear, convolution or transposed convolution layer that holds its weight parametrization as a module.
// State: `bias` if there is one, and the parametrization's (`weight`, or `parametrizations.weight.…`).
class WeightedLayerImpl : public torch::nn::Module {
 public:
  WeightedLayerImpl(const OperatorGeometry& geometry, bool bias, WeightKind weight, const SpectralOptions& spectral);

  // input: (N, in, H, W), or for a dense layer (N, in) or whatever has as many numbers a sample, read in the order of
  // its dimensions; weight: what parametrization().effective() returned for this update.
  torch::Tensor forward(const torch::Tensor& input, const torch::Tensor& weight) const;

  const OperatorGeometry& geometry() const { return geometry_; }
  WeightKind weight_kind() const { return weight_kind_; }
  WeightParametrizationImpl& parametrization() const { return *parametrization_; }
  const torch::Tensor& bias() const { return bias_; }  // undefined without one

 private:
  torch::Tensor apply(const torch::Tensor& input, const torch::Tensor& weight) const;
  torch::Tensor apply_dense(const torch::Tensor& input, const torch::Tensor& weight) const;

  OperatorGeometry geometry_;
  WeightKind weight_kind_;
  WeightParametrization parametrization_;
  torch::Tensor bias_;
};
TORCH_MODULE(WeightedLayer);

}  // namespace sgan
