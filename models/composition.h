#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "models/weighted_layer.h"
#include "normalization/activation_norm.h"

namespace sgan {

enum class Activation { identity, relu, leaky_relu, tanh };

// The negative slope of a leaky ReLU where a network's paper names no other, as in DCGAN's discriminator.
constexpr double kLeakySlope = 0.2;

torch::Tensor activate(Activation activation, const torch::Tensor& input, double slope = kLeakySlope);

// The same over `input`, which it returns. For a gradient, slope must be at least 0.
torch::Tensor activate_in_place(Activation activation, torch::Tensor input, double slope = kLeakySlope);

struct Node;

// A network as the tree of what it does to its input, in order: forward passes, Lipschitz bounds, export, quantization
// and summaries read this and nothing else.
using Composition = std::vector<Node>;

struct LinearMap {
  WeightedLayer layer{nullptr};
};
struct Pointwise {
  Activation activation;
  double slope = kLeakySlope;  // of a leaky ReLU
};
struct Pooling {
  enum class Kind { average, sum, upsample } kind;  // upsample repeats each pixel; sum leaves (C)
  int64_t window;                                   // pixels on a side; of a sum all there are
};
struct Normalization {
  NormKind kind;
  ActivationNorm norm;
};
struct Residual {
  Composition branch;
  Composition shortcut;  // empty: the identity
};

struct Node {
  std::string name;            // of the module that does it, or of a residual block; empty where nothing is named
  std::vector<int64_t> input;  // shape of one sample before it, (C, H, W) or (C); samples are reshaped to it
  std::variant<LinearMap, Pointwise, Pooling, Normalization, Residual> what;
};

// Shape of one sample after the node.
std::vector<int64_t> output_shape(const Node& node);

// Shape of a batch of any number of samples, for reshape.
std::vector<int64_t> batched(const std::vector<int64_t>& sample_shape);

torch::Tensor pool(const Pooling& pooling, const torch::Tensor& input);

// What a pass through the nodes does at a layer.
using ApplyLayer = std::function<torch::Tensor(const WeightedLayer& layer, const torch::Tensor& input)>;

// Whether an activation may be written over the output of the layer or batch norm before it, which nothing then needs:
// half the memory of a pass and less to write. Not where `apply` keeps what it returns.
enum class Overwrite { never, spent };

// What the nodes make of a batch, each called in turn, a residual block's branch before its shortcut. x: (N, …) with as
// many numbers a sample as the first node takes.
torch::Tensor run_composition(const Composition& nodes, torch::Tensor x, Mode mode, const ApplyLayer& apply,
                              Overwrite overwrite = Overwrite::never);

// Calls visit(node, depth) for every node of the tree, a residual block before its branch and its shortcut.
template <class Visit>
void for_each_node(const Composition& nodes, const Visit& visit, int64_t depth = 0) {
  for (const Node& node : nodes) {
    visit(node, depth);
    if (const auto* residual = std::get_if<Residual>(&node.what)) {
      for_each_node(residual->branch, visit, depth + 1);
      for_each_node(residual->shortcut, visit, depth + 1);
    }
  }
}

}  // namespace sgan
