#pragma once

#include "normalization/quantizer.h"
#include "normalization/weight_parametrization.h"

namespace sgan {

// A linear, convolution or transposed convolution layer that holds its weight parametrization as a module.
// State: `bias` if there is one, the parametrization's (`weight`, or `parametrizations.weight.…`), and that of
// quantizers
// (`quantizer.scale`, `input_quantizer.clip`).
class WeightedLayerImpl : public torch::nn::Module {
 public:
  WeightedLayerImpl(const OperatorGeometry& geometry, bool bias, WeightKind weight, const SpectralOptions& spectral);

  // input: (N, in, H, W), or for a dense layer (N, in) or whatever has as many numbers a sample, read in the order of
  // its dimensions; weight: what effective_weight() returned for this update.
  torch::Tensor forward(const torch::Tensor& input, const torch::Tensor& weight) const;

  const OperatorGeometry& geometry() const { return geometry_; }
  WeightKind weight_kind() const { return weight_kind_; }
  WeightParametrizationImpl& parametrization() const { return *parametrization_; }
  // The weight the layer computes with: the parametrization's, rounded where there is a quantizer.
  torch::Tensor effective_weight() const;

  // From now on weights or inputs are rounded. Before any of the layer's state is given away.
  void quantize_weight(WeightQuantizer quantizer);
  void quantize_input(ActivationQuantizer quantizer);
  const WeightQuantizer& weight_quantizer() const { return weight_quantizer_; }    // null: none
  const ActivationQuantizer& input_quantizer() const { return input_quantizer_; }  // null: none
  // Sets what quantizers keep from the present weight.
  void initialize_quantizers() const;

  const torch::Tensor& bias() const { return bias_; }  // undefined without one

 private:
  torch::Tensor apply(const torch::Tensor& input, const torch::Tensor& weight) const;
  torch::Tensor apply_dense(const torch::Tensor& input, const torch::Tensor& weight) const;

  OperatorGeometry geometry_;
  WeightKind weight_kind_;
  WeightParametrization parametrization_;
  torch::Tensor bias_;
  WeightQuantizer weight_quantizer_{nullptr};
  ActivationQuantizer input_quantizer_{nullptr};
};
TORCH_MODULE(WeightedLayer);

}  // namespace sgan
