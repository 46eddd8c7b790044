#include "models/sequential_network.h"

namespace sgan {
namespace {

std::string_view layer_prefix(OperatorKind kind) {
  switch (kind) {
    case OperatorKind::linear:
      return "linear";
    case OperatorKind::conv:
      return "conv";
    case OperatorKind::conv_transpose:
      return "deconv";
  }
  return "layer";
}

std::vector<int64_t> sample_shape(const OperatorGeometry& geometry, int64_t channels, int64_t size) {
  if (geometry.kind == OperatorKind::linear) return {channels};
  return {channels, size, size};
}

std::vector<int64_t> batched(const std::vector<int64_t>& shape) {
  std::vector<int64_t> result{-1};
  result.insert(result.end(), shape.begin(), shape.end());
  return result;
}

}  // namespace

SequentialNetworkImpl::SequentialNetworkImpl(Initialization initialization, const std::vector<StageOptions>& stages,
                                             const std::vector<int64_t>& output_shape, const SpectralOptions& spectral)
    : NetworkImpl(initialization), output_shape_(output_shape) {
  for (const auto& options : stages) {
    Stage stage;
    stage.layer_name = std::string(layer_prefix(options.geometry.kind)) + options.suffix;
    stage.layer = add_layer(stage.layer_name,
                            WeightedLayer(options.geometry, options.norm == NormKind::none, options.weight, spectral));
    stage.norm_name = "norm" + options.suffix;
    stage.norm_kind = options.norm;
    stage.norm = add_norm(stage.norm_name, make_activation_norm(options.norm, options.geometry.out_channels));
    stage.activation = options.activation;
    stages_.push_back(std::move(stage));
  }
}

torch::Tensor SequentialNetworkImpl::forward(const torch::Tensor& input, const EffectiveWeights& weights, Mode mode) {
  const auto& first = stages_.front().layer->geometry();
  const auto input_shape = sample_shape(first, first.in_channels, first.in_size);
  const auto expected = c10::multiply_integers(input_shape);
  TORCH_CHECK(input.dim() >= 2 && input.numel() == input.size(0) * expected, "the network takes ", expected,
              " numbers a sample, got a batch of shape ", input.sizes());
  auto x = input.reshape(batched(input_shape));
  for (const auto& stage : stages_) {
    x = stage.layer->forward(x, weights.of(*stage.layer));
    if (stage.norm != nullptr) x = stage.norm->forward(x, mode);
    x = activate(stage.activation, x);
  }
  return x.reshape(batched(output_shape_));
}

Composition SequentialNetworkImpl::composition() const {
  Composition nodes;
  for (const auto& stage : stages_) {
    const auto& geometry = stage.layer->geometry();
    const auto output = sample_shape(geometry, geometry.out_channels, geometry.out_size());
    nodes.push_back(
        {stage.layer_name, sample_shape(geometry, geometry.in_channels, geometry.in_size), LinearMap{stage.layer}});
    if (stage.norm != nullptr) nodes.push_back({stage.norm_name, output, Normalization{stage.norm_kind, stage.norm}});
    if (stage.activation != Activation::identity) nodes.push_back({"", output, Pointwise{stage.activation}});
  }
  return nodes;
}

}  // namespace sgan
