#include "models/weighted_layer.h"

#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/utils.h>

#include <optional>

#include "models/winograd_convolution.h"

namespace sgan {

WeightedLayerImpl::WeightedLayerImpl(const OperatorGeometry& geometry, bool bias, WeightKind weight,
                                     const SpectralOptions& spectral)
    : geometry_(geometry), weight_kind_(weight), parametrization_(attach_weight(*this, weight, geometry, spectral)) {
  if (bias) bias_ = register_parameter("bias", torch::zeros({geometry.out_channels}));
}

torch::Tensor WeightedLayerImpl::effective_weight() const {
  auto weight = parametrization_->effective();
  return weight_quantizer_ ? weight_quantizer_->forward(weight) : weight;
}

void WeightedLayerImpl::quantize_weight(WeightQuantizer quantizer) {
  weight_quantizer_ = register_module("quantizer", std::move(quantizer));
}

void WeightedLayerImpl::quantize_input(ActivationQuantizer quantizer) {
  input_quantizer_ = register_module("input_quantizer", std::move(quantizer));
}

void WeightedLayerImpl::initialize_quantizers() const {
  torch::NoGradGuard no_grad;
  if (auto quantizer = weight_quantizer_) quantizer->initialize(parametrization_->effective());
  if (auto quantizer = input_quantizer_) quantizer->initialize();
}

torch::Tensor WeightedLayerImpl::forward(const torch::Tensor& given, const torch::Tensor& weight) const {
  const auto input = input_quantizer_ ? input_quantizer_->forward(given) : given;
  // A critic's number keeps all its digits: bfloat16 would leave it three.
  std::optional<c10::impl::ExcludeDispatchKeyGuard> no_autocast;
  if (geometry_.out_channels == 1) no_autocast.emplace(c10::autocast_dispatch_keyset);
  return apply(geometry_.out_channels == 1 ? input.to(weight.scalar_type()) : input, weight);
}

torch::Tensor WeightedLayerImpl::apply_dense(const torch::Tensor& input, const torch::Tensor& weight) const {
  // Images with the channels last are read as they lie, and the weight's columns put in that order, for it is small:
  // else the images were copied, and so was each gradient that comes back.
  if (input.dim() == 4 && !input.is_contiguous() && input.is_contiguous(torch::MemoryFormat::ChannelsLast)) {
    const auto image = input.sizes().slice(1);
    const auto columns = weight.view({weight.size(0), image[0], image[1], image[2]});
    return torch::linear(input.permute({0, 2, 3, 1}).flatten(1), columns.permute({0, 2, 3, 1}).flatten(1), bias_);
  }
  return torch::linear(input.reshape({input.size(0), geometry_.in_channels}), weight, bias_);
}

torch::Tensor WeightedLayerImpl::apply(const torch::Tensor& input, const torch::Tensor& weight) const {
  const bool transposed = geometry_.kind == OperatorKind::conv_transpose;
  if (geometry_.kind != OperatorKind::linear &&
      winograd_applies(input, weight, geometry_.stride, geometry_.padding, transposed)) {
    return winograd_convolution(input, weight, bias_, transposed);
  }
  switch (geometry_.kind) {
    case OperatorKind::linear:
      return apply_dense(input, weight);
    case OperatorKind::conv:
      return torch::conv2d(input, weight, bias_, geometry_.stride, geometry_.padding);
    case OperatorKind::conv_transpose:
      return torch::conv_transpose2d(input, weight, bias_, geometry_.stride, geometry_.padding);
  }
  TORCH_CHECK(false, "no forward pass for operator kind ", static_cast<int>(geometry_.kind));
}

}  // namespace sgan
