#pragma once

#include <torch/types.h>

#include <string>

namespace sgan {

// What a network says of a batch of images.
struct Features {
  torch::Tensor values;         // (N, D) float32 on the CPU
  torch::Tensor probabilities;  // (N, K) float32, rows sum to 1; undefined where the network knows no classes
};

// Maps images to the features that a score compares. A score is named after its network and carries its hash, because
// scores of two networks cannot be compared.
class FeatureNetwork {
 public:
  virtual ~FeatureNetwork() = default;

  // images: (N, C, H, W) uint8, grey or RGB, of any size. Eval mode, no graph, any N.
  virtual Features operator()(const torch::Tensor& images) = 0;

  virtual std::string name() const = 0;      // short, as in a file's name: "inception", "digits-classifier"
  virtual std::string hash() const = 0;      // SHA-256 of what the features depend on, hexadecimal
  virtual std::string protocol() const = 0;  // resize, value range, layer, in words
};

}  // namespace sgan
