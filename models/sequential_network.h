#pragma once

#include "models/network.h"

namespace sgan {

// A chain of stages, each a weighted layer, an activation norm or none, and an activation: mlp and dcgan are such.
class SequentialNetworkImpl : public NetworkImpl {
 public:
  struct StageOptions {
    std::string suffix;  // of the names: "0" makes conv0 and norm0
    OperatorGeometry geometry;
    NormKind norm = NormKind::none;
    Activation activation = Activation::identity;
    WeightKind weight = WeightKind::none;
  };

  // output_shape: of one sample; empty for a critic's single number. A layer has a bias unless a norm follows.
  SequentialNetworkImpl(Initialization initialization, const std::vector<StageOptions>& stages,
                        const std::vector<int64_t>& output_shape, const SpectralOptions& spectral);

  using NetworkImpl::forward;
  torch::Tensor forward(const torch::Tensor& input, const EffectiveWeights& weights, Mode mode) override;
  Composition composition() const override;

 private:
  struct Stage {
    std::string layer_name;
    WeightedLayer layer{nullptr};
    std::string norm_name;
    NormKind norm_kind;
    ActivationNorm norm;
    Activation activation;
  };
  std::vector<Stage> stages_;
  std::vector<int64_t> output_shape_;
};

}  // namespace sgan
