#include "models/composed_network.h"

#include <ATen/ATen.h>

namespace sgan {

torch::Tensor ComposedNetworkImpl::forward(const torch::Tensor& input, const EffectiveWeights& weights, Mode mode) {
  const auto expected = c10::multiply_integers(nodes_.front().input);
  TORCH_CHECK(input.dim() >= 2 && input.numel() == input.size(0) * expected, "the network takes ", expected,
              " numbers a sample, got a batch of shape ", input.sizes());
  const auto apply = [&](const WeightedLayer& layer, const torch::Tensor& x) {
    return layer->forward(x, weights.of(*layer));
  };
  return run_composition(nodes_, input, mode, apply, Overwrite::spent).reshape(batched(output_shape_));
}

Composer::Composer(std::vector<int64_t> input_shape, WeightKind weight, const SpectralOptions& spectral)
    : network_(std::make_shared<ComposedNetworkImpl>()),
      weight_(weight),
      spectral_(spectral),
      shape_(std::move(input_shape)) {}

Composer::Composer(const Composer& whole, std::vector<int64_t> shape)
    : network_(whole.network_), weight_(whole.weight_), spectral_(whole.spectral_), shape_(std::move(shape)) {}

Composer& Composer::linear(const std::string& name, int64_t outputs, const LayerOptions& options) {
  shape_ = {c10::multiply_integers(shape_)};
  return layer(name, {.kind = OperatorKind::linear, .in_channels = shape_[0], .out_channels = outputs}, options);
}

Composer& Composer::conv(const std::string& name, int64_t channels, const Window& window, const LayerOptions& options) {
  return layer(name,
               {.kind = OperatorKind::conv,
                .out_channels = channels,
                .kernel = window.kernel,
                .stride = window.stride,
                .padding = window.padding},
               options);
}

Composer& Composer::conv_transpose(const std::string& name, int64_t channels, const Window& window,
                                   const LayerOptions& options) {
  return layer(name,
               {.kind = OperatorKind::conv_transpose,
                .out_channels = channels,
                .kernel = window.kernel,
                .stride = window.stride,
                .padding = window.padding},
               options);
}

Composer& Composer::layer(const std::string& name, OperatorGeometry geometry, const LayerOptions& options) {
  geometry.in_channels = shape_[0];
  if (geometry.kind != OperatorKind::linear) {
    TORCH_CHECK(shape_.size() == 3, name, " takes (C, H, W), got ", shape_);
    geometry.in_size = shape_[1];
  }
  auto made = network_->add_layer(name, WeightedLayer(geometry, options.bias, weight_, spectral_), options.initial);
  return add(name, LinearMap{std::move(made)});
}

template <class What>
Composer& Composer::add(const std::string& name, What what) {
  nodes_.push_back({name, std::move(shape_), std::move(what)});
  shape_ = output_shape(nodes_.back());
  return *this;
}

Composer& Composer::norm(const std::string& name, NormKind kind) {
  if (kind == NormKind::none) return *this;
  return add(name, Normalization{kind, network_->add_norm(name, make_activation_norm(kind, shape_))});
}

Composer& Composer::activation(Activation activation, double slope) {
  return activation == Activation::identity ? *this : add("", Pointwise{activation, slope});
}

Composer& Composer::average_pool() {
  return add("", Pooling{Pooling::Kind::average, 2});
}

Composer& Composer::upsample() {
  return add("", Pooling{Pooling::Kind::upsample, 2});
}

Composer& Composer::sum_pool() {
  return add("", Pooling{Pooling::Kind::sum, shape_[1]});
}

Composer& Composer::residual(const std::string& name, const Part& branch, const Part& shortcut) {
  Composer branch_part(*this, shape_);
  branch(branch_part);
  Composer shortcut_part(*this, shape_);
  if (shortcut) shortcut(shortcut_part);
  TORCH_CHECK(branch_part.shape_ == shortcut_part.shape_, name, " adds ", branch_part.shape_, " and ",
              shortcut_part.shape_);
  return add(name, Residual{std::move(branch_part.nodes_), std::move(shortcut_part.nodes_)});
}

Composer& Composer::reshape(std::vector<int64_t> shape) {
  TORCH_CHECK(c10::multiply_integers(shape) == c10::multiply_integers(shape_), "cannot read ", shape_, " as ", shape);
  shape_ = std::move(shape);
  return *this;
}

Network Composer::finish(std::vector<int64_t> output_shape) {
  reshape(output_shape);
  network_->nodes_ = std::move(nodes_);
  network_->output_shape_ = std::move(output_shape);
  return network_;
}

}  // namespace sgan
