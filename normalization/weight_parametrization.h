#pragma once

#include <ATen/core/Generator.h>
#include <torch/nn/module.h>
#include <torch/types.h>

#include <functional>
#include <memory>

#include "configs/options.h"
#include "normalization/operator_geometry.h"

namespace sgan {

// How a layer's weight is made from what is trained. A layer holds one; the step asks it once per update for the
// effective weight and uses that same tensor, with its graph, for real, fake and penalty.
class WeightParametrizationImpl : public torch::nn::Module {
 public:
  // The weight the layer computes with, shaped as the geometry says: differentiable in the parameters, and without
  // any side effect, so that sampling, evaluation and the generator's step move nothing.
  virtual torch::Tensor effective() const = 0;

  // Moves the persistent state on from the present weight. Called once per update of the layer's own network.
  virtual void advance() {}

  // σ̂ as training estimates it, a scalar; undefined where the parametrization estimates none.
  virtual torch::Tensor sigma() const { return {}; }

  // Takes `weight` as the initial value and draws the persistent state from `generator`.
  virtual void initialize(const torch::Tensor& weight, at::Generator generator) = 0;
};

using WeightParametrization = std::shared_ptr<WeightParametrizationImpl>;

// Registers on `layer` what `kind` trains and keeps, under PyTorch's state names, and returns the parametrization.
// The weight is zero until initialize() is called.
WeightParametrization attach_weight(torch::nn::Module& layer, WeightKind kind, const OperatorGeometry& geometry,
                                    const SpectralOptions& spectral);

}  // namespace sgan
