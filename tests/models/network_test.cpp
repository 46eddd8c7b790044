#include "models/network.h"

#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "tests/fixtures/fixture.h"
#include "tests/models/seeded_network.h"

namespace sgan {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

Network discriminator_of(NetworkKind kind, NormKind norm, WeightKind weight, uint64_t seed = 1) {
  auto config = network_config(kind, norm, weight);
  const auto network = make_discriminator(config, small_shape(kind));
  initialize(*network, seed);
  return network;
}

// What a layer's weight is made from, under one name for every parametrization.
std::map<std::string, torch::Tensor> trained_weights(const NetworkImpl& network) {
  std::map<std::string, torch::Tensor> weights;
  for (const auto& [name, layer] : network.layers()) {
    const auto state = state_of(*layer);
    for (const std::string trained :
         {"weight", "parametrizations.weight.original", "parametrizations.weight.original1"}) {
      if (state.contains(trained)) weights[name] = state.at(trained);
    }
  }
  return weights;
}

TEST(Network, InitialWeightsArePairedAcrossStrategies) {
  for (const auto& [kind, name] : Names<NetworkKind>::table) {
    SCOPED_TRACE(name);
    const auto plain = discriminator_of(kind, NormKind::none, WeightKind::none);
    const auto expected = trained_weights(*plain);
    for (const auto& [norm, norm_name] : Names<NormKind>::table) {
      if (kind == NetworkKind::mlp && norm == NormKind::instance) continue;  // nothing to average over
      for (const auto& [weight, weight_name] : Names<WeightKind>::table) {
        EXPECT_TRUE(equal(trained_weights(*discriminator_of(kind, norm, weight)), expected))
            << norm_name << " " << weight_name;
      }
    }
    const auto spectral = discriminator_of(kind, NormKind::none, WeightKind::spectral);
    for (size_t i = 0; i < plain->layers().size(); ++i) {
      const auto& bias = plain->layers()[i].second->bias();
      if (!bias.defined()) continue;
      EXPECT_TRUE(torch::equal(bias, spectral->layers()[i].second->bias()));
    }
    EXPECT_FALSE(equal(trained_weights(*discriminator_of(kind, NormKind::none, WeightKind::none, 2)), expected));
  }
}

// Convolutions take the layout of their weight, and all that follows them keeps it.
TEST(Network, ConvolutionsRunWithChannelsLastOnTheCpu) {
  constexpr auto kLast = torch::MemoryFormat::ChannelsLast;
  for (const auto& [weight_kind, weight_name] : Names<WeightKind>::table) {
    SCOPED_TRACE(weight_name);
    const auto network = discriminator_of(NetworkKind::sn_cnn, NormKind::none, weight_kind);
    for (const auto& weights : {network->effective_weights(), network->frozen_weights()}) {
      for (const auto& [name, layer] : network->layers()) {
        const auto& weight = weights.of(*layer);
        const auto& geometry = layer->geometry();
        if (weight.dim() != 4 || geometry.in_channels == 1) continue;  // with one channel both layouts are the same
        EXPECT_TRUE(weight.is_contiguous(kLast)) << name;
        const auto input = draw_normal({2, geometry.in_channels, geometry.in_size, geometry.in_size}, 3);
        EXPECT_TRUE(layer->forward(input, weight).is_contiguous(kLast)) << name;
      }
    }
    // Exact float64 checks, for which there are no such kernels, see the parameter's own layout.
    network->to(torch::kDouble);
    const auto exact = network->effective_weights();
    EXPECT_TRUE(exact.of(*network->layers()[2].second).is_contiguous());
  }
}

// A dense layer sees the same numbers in the same order whatever the layout of the images before it, and its gradient
// comes back in theirs.
TEST(Network, DenseLayersReadImagesInAnyLayout) {
  constexpr auto kLast = torch::MemoryFormat::ChannelsLast;
  const auto network = discriminator_of(NetworkKind::sn_cnn, NormKind::none, WeightKind::none);
  const auto& layer = network->layers().back().second;  // 32 channels of 2 × 2
  const auto weight = layer->parametrization().effective().detach();
  const auto images = draw_normal({3, 32, 2, 2}, 4);
  const auto expected = torch::linear(images.flatten(1), weight, layer->bias());
  EXPECT_TRUE(close(layer->forward(images, weight), expected, 0));
  EXPECT_TRUE(close(layer->forward(images.flatten(1), weight), expected, 0));
  const auto last = images.contiguous(kLast).requires_grad_(true);
  const auto output = layer->forward(last, weight);
  EXPECT_TRUE(close(output, expected, 1e-6));
  const auto gradient = torch::autograd::grad({output.sum()}, {last})[0];
  EXPECT_TRUE(gradient.is_contiguous(kLast));
  EXPECT_TRUE(close(gradient, weight.view({1, 32, 2, 2}).expand_as(images), 0));
}

TEST(Network, FrozenWeightsNeedNoGradient) {
  for (const auto& [weight_kind, weight_name] : Names<WeightKind>::table) {
    const auto network = discriminator_of(NetworkKind::sn_cnn, NormKind::none, weight_kind);
    const auto weights = network->frozen_weights();
    for (const auto& [name, layer] : network->layers()) {
      EXPECT_FALSE(weights.of(*layer).requires_grad()) << weight_name << " " << name;
    }
  }
}

TEST(Network, ParametersOfOneShapeDifferByName) {
  auto config = network_config(NetworkKind::mlp, NormKind::none, WeightKind::spectral);
  config.discriminator.depth = 3;
  const auto network = make_discriminator(config, {2});
  initialize(*network, 1);
  const auto state = state_of(*network);
  for (const std::string tensor : {"bias", "parametrizations.weight.original", "parametrizations.weight.0._u"}) {
    EXPECT_FALSE(torch::equal(state.at("linear1." + tensor), state.at("linear2." + tensor))) << tensor;
  }
}

TEST(Network, ConvolutionsStartFromNormalWeightsAndZeroBiases) {
  Config config;
  config.discriminator = {.kind = NetworkKind::dcgan, .channels = 32, .weight = WeightKind::none};
  const auto network = make_discriminator(config, {3, 32, 32});
  initialize(*network, 1);
  const auto weight = trained_weights(*network).at("conv2");  // 131,072 values
  const auto count = static_cast<double>(weight.numel());
  EXPECT_NEAR(weight.mean().item<double>(), 0, 4 * 0.02 / std::sqrt(count));
  EXPECT_NEAR(weight.std().item<double>(), 0.02, 4 * 0.02 / std::sqrt(2 * count));
  EXPECT_NEAR((weight.abs() < 0.02).to(torch::kDouble).mean().item<double>(), 0.6827, 0.01);
  for (const auto& [name, layer] : network->layers()) EXPECT_EQ(layer->bias().abs().max().item<double>(), 0) << name;
}

TEST(Network, LinearLayersStartUniformWithinTheirFanIn) {
  Config config;
  config.discriminator = {.kind = NetworkKind::mlp, .channels = 256, .depth = 2, .weight = WeightKind::none};
  const auto network = make_discriminator(config, {2});
  initialize(*network, 1);
  const double bound = 1 / std::sqrt(256.0);
  const auto weight = trained_weights(*network).at("linear1");
  EXPECT_LE(weight.abs().max().item<double>(), bound);
  EXPECT_NEAR(weight.std().item<double>(), bound / std::sqrt(3.0), 0.01 * bound);
  const auto& bias = network->layers()[1].second->bias();
  EXPECT_LE(bias.abs().max().item<double>(), bound);
  EXPECT_GT(bias.abs().max().item<double>(), 0.9 * bound);
}

TEST(Network, ResidualBranchesStartFromGlorotTimesRootTwo) {
  const auto config = network_config(NetworkKind::sn_resnet, NormKind::none, WeightKind::none);
  const auto network = make_discriminator(config, {3, 32, 32});
  initialize(*network, 1);
  const auto weights = trained_weights(*network);
  const auto expect_bound = [&](const std::string& name, double bound) {
    const auto largest = weights.at(name).abs().max().item<double>();
    EXPECT_LE(largest, bound) << name;
    EXPECT_GT(largest, 0.9 * bound) << name;
  };
  expect_bound("block1.conv0", std::sqrt(2.0) * std::sqrt(6.0 / (9 * (8 + 8))));
  expect_bound("block1.shortcut", std::sqrt(6.0 / (8 + 8)));
  EXPECT_EQ(network->layers()[0].second->bias().abs().max().item<double>(), 0);
}

TEST(Network, FrozenWeightsEqualEffectiveOnesWithoutGraph) {
  for (const auto& [weight, name] : Names<WeightKind>::table) {
    SCOPED_TRACE(name);
    const auto network = discriminator_of(NetworkKind::dcgan, NormKind::none, weight);
    const auto effective = network->effective_weights();
    const auto frozen = network->frozen_weights();
    for (const auto& [layer_name, layer] : network->layers()) {
      EXPECT_TRUE(torch::equal(frozen.of(*layer), effective.of(*layer))) << layer_name;
      EXPECT_TRUE(effective.of(*layer).requires_grad());
      EXPECT_FALSE(frozen.of(*layer).requires_grad());
    }
  }
}

TEST(Network, AdvanceReachesEveryLayer) {
  auto config = network_config(NetworkKind::dcgan, NormKind::batch, WeightKind::spectral);
  config.spectral.warmup = 0;  // or the last layer, with one output, would have arrived
  const auto network = make_discriminator(config, {1, 16, 16});
  initialize(*network, 1);
  const auto before = copy_of(state_of(*network));
  network->advance_parametrizations();
  const auto after = state_of(*network);
  for (const auto& [name, tensor] : before) {
    const bool is_vector = name.ends_with("._u") || name.ends_with("._v");
    if (is_vector && tensor.numel() == 1) continue;  // the u of one output is 1 or -1
    EXPECT_EQ(torch::equal(after.at(name), tensor), !is_vector) << name;
  }
}

TEST(Network, UsesBatchStatisticsWhereANormDoes) {
  for (const auto& [norm, name] : Names<NormKind>::table) {
    const auto module = make_activation_norm(norm, {4, 2, 2});
    const bool expected = module != nullptr && module->uses_batch_statistics();
    EXPECT_EQ(discriminator_of(NetworkKind::dcgan, norm, WeightKind::none)->uses_batch_statistics(), expected) << name;
  }
}

TEST(Network, RefusesInputsOfAnotherSize) {
  const auto network = discriminator_of(NetworkKind::dcgan, NormKind::none, WeightKind::none);
  EXPECT_THAT(
      [&] {
        network->forward(torch::zeros({2, 1, 8, 8}), Mode::eval);
      },
      ThrowsMessage<c10::Error>(HasSubstr("takes 256 numbers a sample, got a batch of shape [2, 1, 8, 8]")));
}

}  // namespace
}  // namespace sgan
