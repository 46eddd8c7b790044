#include "exchange/certified_network.h"

#include <fmt/format.h>
#include <torch/utils.h>

#include <cmath>

#include "configs/error.h"

namespace sgan {
namespace {

// A factor that outweighs what rounding to float32 may add to a norm, so that one pass is enough nearly always.
constexpr double kRounding = 1 + 1e-6;
constexpr double kCloseEnough = 1e-4;
constexpr int kMostPasses = 20;

bool is_homogeneous(const Node& node) {
  if (const auto* pointwise = std::get_if<Pointwise>(&node.what)) return pointwise->activation != Activation::tanh;
  return std::holds_alternative<LinearMap>(node.what) || std::holds_alternative<Pooling>(node.what);
}

bool is_homogeneous(const Composition& nodes) {
  for (const auto& node : nodes) {
    if (!is_homogeneous(node)) return false;
  }
  return true;
}

const std::string& last_layer(const Composition& nodes) {
  TORCH_CHECK(!nodes.empty() && std::holds_alternative<LinearMap>(nodes.back().what),
              "only a network that ends in a linear layer can be scaled");
  return nodes.back().name;
}

class Scaling {
 public:
  Scaling(const NetworkImpl& network, const BracketOptions& options,
          const std::function<void(int64_t, int64_t)>& progress)
      : network_(network), options_(options), progress_(progress), nodes_(network.composition()) {
    result_.plain = plain_network(network);
    result_.layer_by_layer = is_homogeneous(nodes_);
    for (const auto& [name, layer] : network.layers()) divisors_[name] = 1;
  }

  CertifiedNetwork run(double constant) && {
    result_.constant = constant;
    auto bound = measure();
    require_useful(bound);
    if (result_.layer_by_layer) divide_layers(bound);
    if (result_.layer_by_layer) bound = measure();
    for (int pass = 0; pass < kMostPasses; ++pass) {
      // Close below is good at once; from the second pass on the last layer has filled the constant out.
      const bool close = bound.upper > constant * (1 - kCloseEnough);
      if (bound.upper <= constant && (close || pass > 0)) return std::move(*this).finish(bound);
      divide_last(bound.upper / constant * kRounding);
      bound = measure();
    }
    TORCH_CHECK(false, "scaling to ", constant, " did not settle; the bound is ", bound.upper);
  }

 private:
  NetworkBound measure() const {
    return bound_network(network_, weights_of(result_.plain, network_), options_, progress_);
  }

  static void require_useful(const NetworkBound& bound) {
    if (!bound.useful) {
      throw UserError(
          "this discriminator has no useful Lipschitz bound: it normalizes by a sample's own statistics (layer, "
          "instance, RMS or ScaleNorm). Train one with discriminator.norm none.");
    }
    if (!(bound.upper > 0)) throw UserError("this discriminator is constant, so there is nothing to scale.");
  }

  void divide(const std::string& name, double by) {
    auto& weight = result_.plain.weight_of(name);
    weight = (weight.to(torch::kDouble) / by).to(weight.scalar_type());
    divisors_[name] *= by;
  }

  void divide_bias(const std::string& name, double by) {
    auto bias = result_.plain.bias_of(name);
    if (bias.defined()) bias.copy_(bias.to(torch::kDouble) / by);
  }

  // Positive homogeneity: a layer whose input shrank by c keeps its function, up to 1/(c·d), if its weight is divided
  // by d and its bias by c·d.
  void divide_layers(const NetworkBound& bound) {
    double before = 1;
    for (const auto& node : bound.nodes) {
      if (!node.norm) continue;
      const double upper = node.norm->upper.value * kRounding;
      if (!(upper > 0)) throw UserError("this discriminator is constant, so there is nothing to scale.");
      before *= upper;
      divide(node.name, upper);
      divide_bias(node.name, before);
    }
    result_.scale /= before;
  }

  void divide_last(double by) {
    const auto& name = last_layer(nodes_);
    divide(name, by);
    divide_bias(name, by);
    result_.scale /= by;
  }

  CertifiedNetwork finish(const NetworkBound& bound) && {
    for (const auto& [name, tensor] : result_.plain.tensors) {
      if (tensor.isfinite().all().item<bool>()) continue;
      throw UserError(
          fmt::format("{} would exceed float32: this discriminator is so flat that its certified bound is {:g}, and "
                      "dividing by it scales biases beyond any number. Train one with a less narrow constraint.",
                      name, 1 / result_.scale));
    }
    result_.upper = bound.upper;
    for (const auto& node : bound.nodes) {
      if (!node.norm) continue;
      result_.layers.push_back({node.name, divisors_.at(node.name), node.norm->upper.value, node.norm->upper.method});
    }
    return std::move(result_);
  }

  const NetworkImpl& network_;
  const BracketOptions& options_;
  const std::function<void(int64_t, int64_t)>& progress_;
  Composition nodes_;
  CertifiedNetwork result_;
  std::map<std::string, double> divisors_;
};

}  // namespace

CertifiedNetwork certify(const NetworkImpl& network, double constant, const BracketOptions& options,
                         const std::function<void(int64_t done, int64_t total)>& progress) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(std::isfinite(constant) && constant > 0, "a Lipschitz constant is positive, got ", constant);
  return Scaling(network, options, progress).run(constant);
}

}  // namespace sgan
