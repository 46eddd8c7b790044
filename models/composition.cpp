#include "models/composition.h"

#include <ATen/ATen.h>

#include <utility>

#include "models/rectify.h"

namespace sgan {

torch::Tensor activate(Activation activation, const torch::Tensor& input, double slope) {
  switch (activation) {
    case Activation::identity:
      return input;
    case Activation::relu:
      return torch::relu(input);
    case Activation::leaky_relu:
      return torch::leaky_relu(input, slope);
    case Activation::tanh:
      return torch::tanh(input);
  }
  TORCH_CHECK(false, "no activation ", static_cast<int>(activation));
}

torch::Tensor activate_in_place(Activation activation, torch::Tensor input, double slope) {
  switch (activation) {
    case Activation::identity:
      return input;
    case Activation::relu:
      return rectify_in_place(std::move(input), 0.0);
    case Activation::leaky_relu:
      return rectify_in_place(std::move(input), slope);
    case Activation::tanh:
      return torch::tanh_(input);
  }
  TORCH_CHECK(false, "no activation ", static_cast<int>(activation));
}

namespace {

struct OutputShape {
  const std::vector<int64_t>& input;

  std::vector<int64_t> operator()(const LinearMap& map) const {
    const auto& geometry = map.layer->geometry();
    if (geometry.kind == OperatorKind::linear) return {geometry.out_channels};
    return {geometry.out_channels, geometry.out_size(), geometry.out_size()};
  }
  std::vector<int64_t> operator()(const Pooling& pooling) const {
    switch (pooling.kind) {
      case Pooling::Kind::average:
        return {input[0], input[1] / pooling.window, input[2] / pooling.window};
      case Pooling::Kind::sum:
        return {input[0]};
      case Pooling::Kind::upsample:
        return {input[0], input[1] * pooling.window, input[2] * pooling.window};
    }
    TORCH_CHECK(false, "no pooling ", static_cast<int>(pooling.kind));
  }
  std::vector<int64_t> operator()(const Residual& residual) const { return output_shape(residual.branch.back()); }
  std::vector<int64_t> operator()(const Pointwise&) const { return input; }
  std::vector<int64_t> operator()(const Normalization&) const { return input; }
};

// Whether no backward pass needs the output: that of a layer needs its input and weight, that of a batch norm its input
// and statistics. Norms of several operations may need theirs.
struct OutputIsSpent {
  bool operator()(const LinearMap&) const { return true; }
  bool operator()(const Normalization& normalization) const { return normalization.kind == NormKind::batch; }
  bool operator()(const Pointwise&) const { return false; }
  bool operator()(const Pooling&) const { return false; }
  bool operator()(const Residual&) const { return false; }
};

struct Pass {
  Mode mode;
  const ApplyLayer& apply;
  Overwrite overwrite;
  bool input_is_spent;

  torch::Tensor operator()(const LinearMap& map, const torch::Tensor& x) const { return apply(map.layer, x); }
  torch::Tensor operator()(const Pointwise& pointwise, const torch::Tensor& x) const {
    // The gradient behind an overwritten input is found by the output's sign, which a negative slope would change.
    return input_is_spent && pointwise.slope >= 0 ? activate_in_place(pointwise.activation, x, pointwise.slope)
                                                  : activate(pointwise.activation, x, pointwise.slope);
  }
  torch::Tensor operator()(const Pooling& pooling, const torch::Tensor& x) const { return pool(pooling, x); }
  torch::Tensor operator()(const Normalization& normalization, const torch::Tensor& x) const {
    return normalization.norm->forward(x, mode);
  }
  torch::Tensor operator()(const Residual& residual, const torch::Tensor& x) const {
    const auto branch = run_composition(residual.branch, x, mode, apply, overwrite);
    return branch + run_composition(residual.shortcut, x, mode, apply, overwrite);
  }
};

}  // namespace

bool is_dense(const Node& node) {
  const auto* map = std::get_if<LinearMap>(&node.what);
  return map != nullptr && map->layer->geometry().kind == OperatorKind::linear;
}

std::vector<int64_t> output_shape(const Node& node) {
  return std::visit(OutputShape{node.input}, node.what);
}

std::vector<int64_t> batched(const std::vector<int64_t>& sample_shape) {
  std::vector<int64_t> result{-1};
  result.insert(result.end(), sample_shape.begin(), sample_shape.end());
  return result;
}

torch::Tensor run_composition(const Composition& nodes, torch::Tensor x, Mode mode, const ApplyLayer& apply,
                              Overwrite overwrite) {
  bool spent = false;
  for (const Node& node : nodes) {
    if (x.sizes().slice(1) != at::IntArrayRef(node.input) && !is_dense(node)) x = x.reshape(batched(node.input));
    x = std::visit([&](const auto& what) { return Pass{mode, apply, overwrite, spent}(what, x); }, node.what);
    spent = overwrite == Overwrite::spent && std::visit(OutputIsSpent(), node.what);
  }
  return x;
}

torch::Tensor pool(const Pooling& pooling, const torch::Tensor& input) {
  switch (pooling.kind) {
    case Pooling::Kind::average:
      return torch::avg_pool2d(input, pooling.window);
    case Pooling::Kind::sum:
      return input.sum({2, 3});
    case Pooling::Kind::upsample:
      return torch::upsample_nearest2d(input, {input.size(2) * pooling.window, input.size(3) * pooling.window});
  }
  TORCH_CHECK(false, "no pooling ", static_cast<int>(pooling.kind));
}

}  // namespace sgan
