#pragma once

#include "models/network.h"

namespace sgan {

// A network that does what its composition says. Composer makes them.
class ComposedNetworkImpl : public NetworkImpl {
 public:
  using NetworkImpl::forward;
  torch::Tensor forward(const torch::Tensor& input, const EffectiveWeights& weights, Mode mode) override;
  Composition composition() const override { return nodes_; }

 private:
  friend class Composer;

  Composition nodes_;
  std::vector<int64_t> output_shape_;  // of one sample; empty for a critic's single number
};

struct LayerOptions {
  bool bias = true;
  Initialization initial = Initialization::normal;
};

// Of a convolution, in pixels on a side.
struct Window {
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;
};

// Writes a network down as a paper's table does, from the input on, keeping track of the shape in between:
//   Composer net({3, 32, 32}, weight, spectral);
//   net.conv("conv0", 64, {.kernel = 3, .padding = 1}).activation(Activation::relu).linear("linear1", 1);
//   return net.finish({});
// A name with dots, such as "block0.conv1", registers the layer on a child module "block0".
class Composer {
 public:
  using Part = std::function<void(Composer&)>;

  // input_shape: of one sample, (C, H, W) or (C); weight: of every layer.
  Composer(std::vector<int64_t> input_shape, WeightKind weight, const SpectralOptions& spectral);

  Composer& linear(const std::string& name, int64_t outputs, const LayerOptions& options = {});
  Composer& conv(const std::string& name, int64_t channels, const Window& window, const LayerOptions& options = {});
  Composer& conv_transpose(const std::string& name, int64_t channels, const Window& window,
                           const LayerOptions& options = {});
  // Nothing for NormKind::none.
  Composer& norm(const std::string& name, NormKind kind);
  Composer& activation(Activation activation, double slope = kLeakySlope);
  Composer& average_pool();  // 2×2
  Composer& upsample();      // 2×2, nearest
  Composer& sum_pool();      // over all positions
  // branch(x) + shortcut(x); without a shortcut, + x. Both must end in one shape.
  Composer& residual(const std::string& name, const Part& branch, const Part& shortcut);
  // What follows reads the same numbers as this shape.
  Composer& reshape(std::vector<int64_t> shape);

  const std::vector<int64_t>& shape() const { return shape_; }
  // output_shape: of one sample; empty for a critic's single number.
  Network finish(std::vector<int64_t> output_shape);

 private:
  // A part of the same network, from `shape` on.
  Composer(const Composer& whole, std::vector<int64_t> shape);
  Composer& layer(const std::string& name, OperatorGeometry geometry, const LayerOptions& options);
  template <class What>
  Composer& add(const std::string& name, What what);

  std::shared_ptr<ComposedNetworkImpl> network_;
  WeightKind weight_;
  SpectralOptions spectral_;
  std::vector<int64_t> shape_;
  Composition nodes_;
};

}  // namespace sgan
