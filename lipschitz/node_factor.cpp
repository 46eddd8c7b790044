#include "lipschitz/node_factor.h"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "normalization/affine_norm.h"
#include "normalization/scale_norm.h"

namespace sgan {
namespace {

torch::Tensor number(const torch::nn::Module& module, const std::string& name) {
  const auto parameters = module.named_parameters();
  const auto* parameter = parameters.find(name);
  return (parameter != nullptr ? *parameter : module.named_buffers()[name]).detach().to(torch::kCPU, torch::kDouble);
}

struct Factor {
  const std::vector<int64_t>& input;

  NodeFactor operator()(const Pointwise& pointwise) const {
    const bool leaky = pointwise.activation == Activation::leaky_relu;
    return {leaky ? std::max(1.0, std::abs(pointwise.slope)) : 1.0, "largest derivative"};
  }
  NodeFactor operator()(const Pooling& pooling) const {
    const auto window = static_cast<double>(pooling.window);
    switch (pooling.kind) {
      case Pooling::Kind::average:
        return {1 / window, "disjoint averages"};
      case Pooling::Kind::sum:
        return {std::sqrt(static_cast<double>(input[1] * input[2])), "√(pixels)"};
      case Pooling::Kind::upsample:
        return {window, "copies of each pixel"};
    }
    TORCH_CHECK(false, "no factor for pooling ", static_cast<int>(pooling.kind));
  }
  NodeFactor operator()(const Normalization& normalization) const {
    const auto& norm = *normalization.norm;
    const auto largest = [&](const torch::Tensor& values) { return values.abs().max().item<double>(); };
    switch (normalization.kind) {
      case NormKind::none:
        return {};
      case NormKind::batch:
        return {largest(number(norm, "weight") / (number(norm, "running_var") + kNormEps).sqrt()),
                "max|γ|/√(running variance + ε), eval mode; in training mode none"};
      case NormKind::mean_only_batch:
        return {1, "a shift, eval mode"};
      case NormKind::layer:
      case NormKind::layer_position:
      case NormKind::rms:
        return {largest(number(norm, "weight")) / std::sqrt(kNormEps), "max|γ|/√ε", false};
      case NormKind::instance:
        return {1 / std::sqrt(kNormEps), "1/√ε", false};
      case NormKind::scale_sample:
      case NormKind::scale_position:
        return {largest(number(norm, "weight")) / kLeastLength, "|g|/1e-5", false};
    }
    TORCH_CHECK(false, "no factor for norm ", name_of(normalization.kind));
  }
  NodeFactor operator()(const LinearMap&) const { TORCH_CHECK(false, "a linear map has a norm, not a factor"); }
  NodeFactor operator()(const Residual&) const { TORCH_CHECK(false, "a residual block has parts, not a factor"); }
};

}  // namespace

NodeFactor node_factor(const Node& node) {
  return std::visit(Factor{node.input}, node.what);
}

}  // namespace sgan
