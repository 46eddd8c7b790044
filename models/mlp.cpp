#include "models/mlp.h"

#include "models/sequential_network.h"

namespace sgan {
namespace {

using Stage = SequentialNetworkImpl::StageOptions;

struct Perceptron {
  int64_t inputs;
  int64_t width;
  int64_t depth;
  int64_t outputs;
  NormKind norm;
  WeightKind weight;
  Activation hidden;
  Activation last;
};

std::vector<Stage> stages_of(const Perceptron& p) {
  std::vector<Stage> stages;
  for (int64_t i = 0; i <= p.depth; ++i) {
    const bool is_last = i == p.depth;
    stages.push_back({.suffix = std::to_string(i),
                      .geometry = {.kind = OperatorKind::linear,
                                   .in_channels = i == 0 ? p.inputs : p.width,
                                   .out_channels = is_last ? p.outputs : p.width},
                      .norm = is_last ? NormKind::none : p.norm,
                      .activation = is_last ? p.last : p.hidden,
                      .weight = p.weight});
  }
  return stages;
}

}  // namespace

Network make_mlp_generator(const GeneratorOptions& options, const SpectralOptions& spectral,
                           const std::vector<int64_t>& sample_shape) {
  const bool images = sample_shape.size() == 3;
  const auto stages = stages_of({.inputs = options.latent,
                                 .width = options.channels,
                                 .depth = options.depth,
                                 .outputs = c10::multiply_integers(sample_shape),
                                 .norm = options.norm,
                                 .weight = options.weight,
                                 .hidden = Activation::relu,
                                 .last = images ? Activation::tanh : Activation::identity});
  return std::make_shared<SequentialNetworkImpl>(Initialization::fan_in, stages, sample_shape, spectral);
}

Network make_mlp_discriminator(const DiscriminatorOptions& options, const SpectralOptions& spectral,
                               const std::vector<int64_t>& sample_shape) {
  const auto stages = stages_of({.inputs = c10::multiply_integers(sample_shape),
                                 .width = options.channels,
                                 .depth = options.depth,
                                 .outputs = 1,
                                 .norm = options.norm,
                                 .weight = options.weight,
                                 .hidden = Activation::leaky_relu,
                                 .last = Activation::identity});
  return std::make_shared<SequentialNetworkImpl>(Initialization::fan_in, stages, std::vector<int64_t>{}, spectral);
}

}  // namespace sgan
