#pragma once

#include "normalization/weight_parametrization.h"

namespace sgan {

// What the spectral kinds share: W̄ = K·W / σ̂, with K = options.target and a norm σ̂ that power iteration on persistent
// vectors estimates. One advance() is options.power_iterations steps. The vectors count as constants in the gradient:
//   ∂L/∂W = (G − ⟨G, W̄⟩ ∂σ̂/∂W / K) · K / σ̂  with G = ∂L/∂W̄.
// A weight whose σ̂ is at most eps stays as it is. State: `original`, and the vectors as `0.<name>`.
class SpectralParametrizationImpl : public WeightParametrizationImpl {
 public:
  torch::Tensor effective() const final;
  void advance() final;
  torch::Tensor sigma() const final;
  void initialize(const torch::Tensor& weight, at::Generator generator) final;

 protected:
  // shape: of the weight.
  SpectralParametrizationImpl(at::IntArrayRef shape, const SpectralOptions& options);

  // Registers a persistent vector; initialize() draws its direction, uniform over the sphere, in order of registration.
  torch::Tensor add_vector(const std::string& name, at::IntArrayRef shape);

  virtual torch::Tensor estimate() const = 0;  // σ̂, differentiable in the weight
  virtual void power_step() = 0;

  const torch::Tensor& original() const { return original_; }
  const SpectralOptions& options() const { return options_; }
  double eps() const { return options_.eps; }

 private:
  SpectralOptions options_;
  torch::Tensor original_;
  std::shared_ptr<torch::nn::Module> vectors_;
};

}  // namespace sgan
