#include "models/mlp.h"

#include "models/composed_network.h"

namespace sgan {
namespace {

constexpr LayerOptions kOptions{.bias = true, .initial = Initialization::fan_in};
constexpr LayerOptions kBeforeNorm{.bias = false, .initial = Initialization::fan_in};

// `depth` hidden layers and the last one.
void add_layers(Composer& net, int64_t width, int64_t depth, int64_t outputs, NormKind norm, Activation activation) {
  for (int64_t i = 0; i < depth; ++i) {
    net.linear("linear" + std::to_string(i), width, replaces_bias(norm) ? kBeforeNorm : kOptions)
        .norm("norm" + std::to_string(i), norm)
        .activation(activation);
  }
  net.linear("linear" + std::to_string(depth), outputs, kOptions);
}

}  // namespace

Network make_mlp_generator(const GeneratorOptions& options, const SpectralOptions& spectral,
                           const std::vector<int64_t>& sample_shape) {
  Composer net({options.latent}, options.weight, spectral);
  add_layers(net, options.channels, options.depth, c10::multiply_integers(sample_shape), options.norm,
             Activation::relu);
  const bool images = sample_shape.size() == 3;
  net.activation(images ? Activation::tanh : Activation::identity);
  return net.finish(sample_shape);
}

Network make_mlp_discriminator(const DiscriminatorOptions& options, const SpectralOptions& spectral,
                               const std::vector<int64_t>& sample_shape) {
  Composer net({c10::multiply_integers(sample_shape)}, options.weight, spectral);
  add_layers(net, options.channels, options.depth, 1, options.norm, Activation::leaky_relu);
  return net.finish({});
}

}  // namespace sgan
