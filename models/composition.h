#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "models/weighted_layer.h"
#include "normalization/activation_norm.h"

namespace sgan {

enum class Activation { identity, relu, leaky_relu, tanh };

torch::Tensor activate(Activation activation, const torch::Tensor& input);

// The slope of every leaky ReLU in the project's networks, as in DCGAN's discriminator.
constexpr double kLeakySlope = 0.2;

struct Node;

// A network as the tree of what it does to its input, in order: Lipschitz bounds, export, quantization and summaries
// read this and nothing else.
using Composition = std::vector<Node>;

struct LinearMap {
  WeightedLayer layer{nullptr};
};
struct Pointwise {
  Activation activation;
};
struct Pooling {
  enum class Kind { average, max, sum, upsample } kind;
  int64_t window;
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
  std::string name;            // of the module that does it; empty where no module does
  std::vector<int64_t> input;  // shape of one sample before it, (C, H, W) or (C)
  std::variant<LinearMap, Pointwise, Pooling, Normalization, Residual> what;
};

}  // namespace sgan
