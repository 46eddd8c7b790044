#include "models/factory.h"

#include "models/dcgan.h"
#include "models/mlp.h"
#include "models/sn_cnn.h"
#include "models/sn_resnet.h"

namespace sgan {
namespace {

struct Architecture {
  NetworkKind kind;
  Network (*generator)(const GeneratorOptions&, const SpectralOptions&, const std::vector<int64_t>&);
  Network (*discriminator)(const DiscriminatorOptions&, const SpectralOptions&, const std::vector<int64_t>&);
};

constexpr Architecture kArchitectures[] = {
    {NetworkKind::mlp, make_mlp_generator, make_mlp_discriminator},
    {NetworkKind::dcgan, make_dcgan_generator, make_dcgan_discriminator},
    {NetworkKind::sn_cnn, make_sn_cnn_generator, make_sn_cnn_discriminator},
    {NetworkKind::sn_cnn_public, make_sn_cnn_public_generator, make_sn_cnn_public_discriminator},
    {NetworkKind::sn_resnet, make_sn_resnet_generator, make_sn_resnet_discriminator},
};

const Architecture& architecture(NetworkKind kind) {
  for (const auto& entry : kArchitectures) {
    if (entry.kind == kind) return entry;
  }
  TORCH_CHECK(false, "no architecture for network kind ", name_of(kind));
}

// Gives every layer but the first a quantizer of its inputs. after_relu: what comes into the nodes is not negative.
void quantize_inputs(const Composition& nodes, const WeightedLayerImpl& first, int64_t bits, bool after_relu = false) {
  for (const Node& node : nodes) {
    if (const auto* map = std::get_if<LinearMap>(&node.what)) {
      auto layer = map->layer;
      if (layer.get() != &first) layer->quantize_input(ActivationQuantizer(bits, after_relu));
      after_relu = false;
    } else if (const auto* pointwise = std::get_if<Pointwise>(&node.what)) {
      after_relu = pointwise->activation == Activation::relu;
    } else if (const auto* residual = std::get_if<Residual>(&node.what)) {
      quantize_inputs(residual->branch, first, bits, after_relu);
      quantize_inputs(residual->shortcut, first, bits, after_relu);
      after_relu = false;
    } else if (std::holds_alternative<Normalization>(node.what)) {
      after_relu = false;
    }
  }
}

// Of a generator, where the config has it so.
void round_inputs(const NetworkImpl& network, const Config& config) {
  if (config.generator.quantizer == QuantizerKind::none || config.quantizer.activation_bits == 0) return;
  quantize_inputs(network.composition(), *network.layers().front().second, config.quantizer.activation_bits);
}

Network quantized(Network network, QuantizerKind kind, const QuantizerOptions& options) {
  if (kind == QuantizerKind::none) return network;
  const auto& layers = network->layers();
  for (size_t i = 0; i < layers.size(); ++i) {
    auto layer = layers[i].second;
    const bool outer = i == 0 || i + 1 == layers.size();
    const auto own_kind = outer && kind == QuantizerKind::twn ? QuantizerKind::wnq : kind;
    const auto bits = outer ? options.first_last_bits : options.bits;
    layer->quantize_weight(WeightQuantizer(own_kind, bits, options, layer->geometry()));
  }
  return network;
}

}  // namespace

Network make_generator(const Config& config, const std::vector<int64_t>& sample_shape) {
  const auto& options = config.generator;
  auto network = quantized(architecture(options.kind).generator(options, config.spectral, sample_shape),
                           options.quantizer, config.quantizer);
  round_inputs(*network, config);
  return network;
}

Network make_discriminator(const Config& config, const std::vector<int64_t>& sample_shape) {
  const auto& options = config.discriminator;
  return quantized(architecture(options.kind).discriminator(options, config.spectral, sample_shape), options.quantizer,
                   config.quantizer);
}

Network make_plain_generator(const Config& config, const std::vector<int64_t>& sample_shape) {
  auto plain = config.generator;
  plain.weight = WeightKind::none;
  auto network = architecture(plain.kind).generator(plain, config.spectral, sample_shape);
  round_inputs(*network, config);
  return network;
}

Network make_plain_discriminator(const Config& config, const std::vector<int64_t>& sample_shape) {
  auto plain = config.discriminator;
  plain.weight = WeightKind::none;
  return architecture(plain.kind).discriminator(plain, config.spectral, sample_shape);
}

int64_t count_parameters(const NetworkImpl& network) {
  int64_t count = 0;
  for (const auto& parameter : network.parameters()) count += parameter.numel();
  return count;
}

}  // namespace sgan
