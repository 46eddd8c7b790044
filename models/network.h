#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "models/composition.h"

namespace sgan {

// The weights that every layer computes with during one update, made once and shared by real, fake and penalty.
class EffectiveWeights {
 public:
  void set(const WeightedLayerImpl& layer, torch::Tensor weight) { of_.insert_or_assign(&layer, std::move(weight)); }
  const torch::Tensor& of(const WeightedLayerImpl& layer) const { return of_.at(&layer); }

 private:
  std::unordered_map<const WeightedLayerImpl*, torch::Tensor> of_;
};

// A generator of random numbers for each parameter's name, so that what is drawn for one never depends on another.
using GeneratorFor = std::function<at::Generator(std::string_view parameter)>;

// How a layer's initial weight and bias are drawn.
enum class Initialization {
  normal,       // N(0, 0.02²), bias 0 (Radford et al. 2016)
  fan_in,       // U(±1/√fan_in) for both, PyTorch's default
  glorot,       // U(±√(6 / (fan_in + fan_out))), bias 0 (Glorot & Bengio 2010)
  glorot_relu,  // the same times √2, as the SN-GAN authors' residual branches have it
};

// A generator or a discriminator.
class NetworkImpl : public torch::nn::Module {
 public:
  // generator: latents (N, latent) → samples (N, C, H, W) in [-1, 1] or points (N, 2); discriminator: samples → (N).
  virtual torch::Tensor forward(const torch::Tensor& input, const EffectiveWeights& weights, Mode mode) = 0;
  torch::Tensor forward(const torch::Tensor& input, Mode mode) { return forward(input, effective_weights(), mode); }

  virtual Composition composition() const = 0;

  // Asks every parametrization once, with graph. Moves nothing. Full float32 whatever the networks' precision, as in
  // advance_parametrizations().
  EffectiveWeights effective_weights() const;
  // The same without graph, for the other network's step: nothing of this network is then differentiated.
  EffectiveWeights frozen_weights() const;
  // Stores the parameters as effective_weights() wants them on their device, so that no update copies them: on a CPU
  // with the channels last. Values and names stay. Before an optimizer is made, whose state takes the layout over.
  void store_in_fast_layout();
  // One update of the parametrizations' persistent state (power iterations).
  void advance_parametrizations();

  // Draws every initial value: weights and biases by `initial`, persistent vectors by `power`. Depends on the names
  // and shapes of the layers alone, so two strategies with one seed start from equal weights.
  void initialize(const GeneratorFor& initial, const GeneratorFor& power);

  // The weighted layers with their names, in the order of registration.
  const std::vector<std::pair<std::string, WeightedLayer>>& layers() const { return layers_; }
  // True where a sample's output depends on the rest of its batch.
  bool uses_batch_statistics() const;

 protected:
  // name: where to register; the parts before dots are modules that are made as needed.
  WeightedLayer add_layer(const std::string& name, WeightedLayer layer, Initialization initialization);
  ActivationNorm add_norm(const std::string& name, ActivationNorm norm);

 private:
  std::vector<std::pair<std::string, WeightedLayer>> layers_;
  std::vector<Initialization> initializations_;  // of the layers
  std::vector<ActivationNorm> norms_;
};
using Network = std::shared_ptr<NetworkImpl>;

}  // namespace sgan
