#include "normalization/spectral_group.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <string>
#include <tuple>
#include <vector>

#include "models/factory.h"
#include "tests/models/seeded_network.h"
#include "tests/normalization/layer_cases.h"
#include "tests/normalization/operator_count.h"

namespace sgan {
namespace {

using torch::autograd::grad;

constexpr auto kAlone = SpectralGrouping::alone;
constexpr auto kTogether = SpectralGrouping::together;

// A discriminator, or a generator, whose layers all have spectral norm, and a loss that feels all of each weight.
struct Subject {
  Subject(NetworkKind kind, torch::Dtype dtype, const SpectralOptions& options = {}, bool channels_last = false) {
    auto config = network_config(kind, NormKind::none, WeightKind::spectral);
    config.spectral = options;
    network = make_discriminator(config, small_shape(kind, 3));
    initialize(*network, 7);
    network->to(dtype);
    if (channels_last) network->store_in_fast_layout();
  }

  Tensors tensors() const { return state_of(*network); }

  std::vector<torch::Tensor> originals() const {
    std::vector<torch::Tensor> originals;
    for (const auto& item : network->named_parameters()) {
      if (item.key().ends_with("original")) originals.push_back(item.value());
    }
    return originals;
  }

  std::vector<torch::Tensor> effective() const {
    const auto weights = network->effective_weights();
    std::vector<torch::Tensor> each;
    for (const auto& [name, layer] : network->layers()) each.push_back(weights.of(*layer));
    return each;
  }

  Network network;
};

// Something smooth of all weights, whose gradients are no multiples of the weights.
torch::Tensor loss_of(const std::vector<torch::Tensor>& weights) {
  auto loss = torch::zeros({}, weights.front().options());
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto cotangent = normal(weights[i].sizes().vec(), 100 + i).to(weights[i].scalar_type());
    loss = loss + (weights[i] * cotangent).sum() + weights[i].pow(3).sum();
  }
  return loss;
}

void expect_close(const std::vector<torch::Tensor>& actual, const std::vector<torch::Tensor>& expected,
                  double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(close(actual[i], expected[i], tolerance)) << i;
}

class SpectralGroup : public testing::TestWithParam<std::tuple<NetworkKind, torch::Dtype>> {
 protected:
  NetworkKind kind() const { return std::get<0>(GetParam()); }
  torch::Dtype dtype() const { return std::get<1>(GetParam()); }
  // Sums are taken in another order; what is left of that after a few steps of rounding.
  double tolerance() const { return dtype() == torch::kDouble ? 1e-12 : 1e-6; }
};

TEST_P(SpectralGroup, ComputesWhatEachLayerDoesAlone) {
  for (const bool channels_last : {false, true}) {
    for (const SpectralOptions& options :
         {SpectralOptions{.warmup = 1}, SpectralOptions{.power_iterations = 3, .warmup = 1, .target = 0.7}}) {
      SCOPED_TRACE(testing::Message() << "channels last " << channels_last << ", target " << options.target);
      const Subject alone(kind(), dtype(), options, channels_last);
      const Subject grouped(kind(), dtype(), options, channels_last);
      for (int update = 0; update < 3; ++update) {
        std::vector<torch::Tensor> expected, actual, expected_gradients, actual_gradients;
        {
          const SpectralGroupingGuard guard(kAlone);
          alone.network->advance_parametrizations();
          expected = alone.effective();
          expected_gradients = grad({loss_of(expected)}, alone.originals());
        }
        const auto before = copy_of(grouped.tensors());
        {
          const SpectralGroupingGuard guard(kTogether);
          grouped.network->advance_parametrizations();
          actual = grouped.effective();
          actual_gradients = grad({loss_of(actual)}, grouped.originals());
        }
        for (const auto& [name, tensor] : alone.tensors()) {
          EXPECT_TRUE(close(grouped.tensors().at(name), tensor, tolerance())) << name;
          if (name.ends_with("_u") && tensor.numel() > 1) {
            EXPECT_FALSE(torch::equal(tensor, before.at(name))) << name;
          }
        }
        expect_close(actual, expected, tolerance());
        expect_close(actual_gradients, expected_gradients, 4 * tolerance());
        for (size_t i = 0; i < actual.size(); ++i) {
          EXPECT_EQ(actual[i].strides(), expected[i].strides());
        }
        // The weights move as in training.
        torch::NoGradGuard no_grad;
        for (const auto& subject : {alone, grouped}) {
          uint64_t seed = 1000;
          for (auto& weight : subject.originals()) {
            weight.add_(normal(weight.sizes().vec(), ++seed).to(dtype()), 0.01);
          }
        }
      }
    }
  }
}

// A weight that is zero, or too small to be told from it, stays as it is, and so do its vectors, whatever the others
// do.
TEST_P(SpectralGroup, ZeroWeightsStayZeroAmongOthers) {
  for (const double scale : {0.0, 1e-14}) {
    SCOPED_TRACE(scale);
    const Subject subject(kind(), dtype());
    const auto zero = subject.originals()[1];
    {
      torch::NoGradGuard no_grad;
      zero.copy_(scale * normal(zero.sizes().vec(), 5));
    }
    const auto& layer = *subject.network->layers()[1].second;
    const auto& norm = dynamic_cast<const SpectralNormImpl&>(layer.parametrization());
    const auto u = norm.pair().u.clone();
    const auto v = norm.pair().v.clone();
    const SpectralGroupingGuard guard(kTogether);
    subject.network->advance_parametrizations();
    EXPECT_TRUE(torch::equal(norm.pair().u, u));
    EXPECT_TRUE(torch::equal(norm.pair().v, v));
    const auto weights = subject.effective();
    EXPECT_TRUE(torch::equal(weights[1], zero));
    const auto loss = loss_of(weights);
    const auto of_weights = grad({loss}, weights, {}, /*retain_graph=*/true);
    const auto gradients = grad({loss}, subject.originals());
    EXPECT_TRUE(torch::equal(gradients[1], of_weights[1]));
    for (const auto& gradient : gradients) EXPECT_TRUE(gradient.isfinite().all().item<bool>());
  }
}

// As a gradient penalty does: the loss contains a gradient by the input, whose graph holds the weights.
TEST_P(SpectralGroup, PenaltiesOnSlopesDifferentiateThroughIt) {
  const Subject subject(kind(), dtype());
  auto shape = small_shape(kind(), 3);
  shape.insert(shape.begin(), 4);
  const auto input = normal(shape, 3).to(dtype()).requires_grad_(true);
  const auto gradients = [&](SpectralGrouping grouping) {
    const SpectralGroupingGuard guard(grouping);
    const auto critic = subject.network->forward(input, subject.network->effective_weights(), Mode::train_frozen);
    const auto slope = grad({critic.sum()}, {input}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
    return grad({(slope.flatten(1).norm(2, 1) - 1).square().mean() - critic.mean()}, subject.originals());
  };
  expect_close(gradients(kTogether), gradients(kAlone), 4 * tolerance());
}

// Every kind of layer, transposed convolutions too, which no discriminator has; also where only some weights are used,
// or the gradients differentiated again.
TEST(SpectralGroupOfLayers, EveryDerivativeIsThatOfTheLayerAlone) {
  for (const bool channels_last : {false, true}) {
    SCOPED_TRACE(channels_last);
    std::vector<WeightedLayer> layers;
    std::vector<SpectralNormImpl*> norms;
    std::vector<torch::Tensor> originals;
    for (const auto& [name, geometry] : layer_cases()) {
      layers.push_back(random_layer(geometry, WeightKind::spectral, {.warmup = 1, .target = 1.3}));
      originals.push_back(stored(layers.back(), "original"));
      if (channels_last && originals.back().dim() == 4) {
        originals.back().set_data(originals.back().contiguous(torch::MemoryFormat::ChannelsLast));
      }
      norms.push_back(&dynamic_cast<SpectralNormImpl&>(layers.back()->parametrization()));
    }
    std::vector<torch::Tensor> alone;
    for (const auto& layer : layers) alone.push_back(layer->effective_weight());
    const auto together = effective_together(norms);
    expect_close(together, alone, 1e-12);

    const auto second_derivatives = [&](const std::vector<torch::Tensor>& weights) {
      const auto first = grad({loss_of(weights)}, originals, {}, /*retain_graph=*/true, /*create_graph=*/true);
      return grad({loss_of(first)}, originals, {}, /*retain_graph=*/true);
    };
    expect_close(second_derivatives(together), second_derivatives(alone), 1e-12);

    const auto of_some = [&](const std::vector<torch::Tensor>& weights) {
      return grad({loss_of({weights[1], weights[3]})}, originals, {}, /*retain_graph=*/true, /*create_graph=*/false,
                  /*allow_unused=*/true);
    };
    const auto expected = of_some(alone);
    const auto actual = of_some(together);
    for (size_t i = 0; i < layers.size(); ++i) {
      ASSERT_EQ(actual[i].defined(), expected[i].defined()) << i;
      if (expected[i].defined()) {
        EXPECT_TRUE(close(actual[i], expected[i], 1e-12)) << i;
      }
    }
  }
}

// What the graph of one update keeps is not what the next one moves.
TEST(SpectralGroupOfLayers, LaterAdvancesLeaveEarlierGradients) {
  const Subject subject(NetworkKind::mlp, torch::kDouble);
  const SpectralGroupingGuard guard(kTogether);
  const auto expected = grad({loss_of(subject.effective())}, subject.originals());
  const auto weights = subject.effective();
  subject.network->advance_parametrizations();
  const auto actual = grad({loss_of(weights)}, subject.originals());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(torch::equal(actual[i], expected[i])) << i;
}

TEST(SpectralGroupOfLayers, AreTheSpectralNormsOfOneKindOnAGpu) {
  const OperatorGeometry geometry{OperatorKind::linear, 5, 7};
  const auto plain = random_layer(geometry, WeightKind::none);
  const auto first = random_layer(geometry, WeightKind::spectral);
  const auto twice = random_layer(geometry, WeightKind::spectral, {.power_iterations = 2});
  const auto both_ways = random_layer(geometry, WeightKind::spectral_bidirectional);
  auto single = random_layer(geometry, WeightKind::spectral);
  single->to(torch::kFloat);
  const auto last = random_layer(geometry, WeightKind::spectral);
  std::vector<WeightParametrizationImpl*> all;
  for (const auto& layer : {plain, first, twice, both_ways, single, last}) all.push_back(&layer->parametrization());
  EXPECT_TRUE(choose_spectral_group(all).empty());  // on a CPU
  {
    const SpectralGroupingGuard guard(kTogether);
    const auto group = choose_spectral_group(all);
    ASSERT_EQ(group.size(), 2U);
    EXPECT_EQ(group[0], &first->parametrization());
    EXPECT_EQ(group[1], &last->parametrization());
    const SpectralGroupingGuard inner(kAlone);
    EXPECT_TRUE(choose_spectral_group(all).empty());
  }
  EXPECT_TRUE(choose_spectral_group(all).empty());
}

// A network whose layers are of several kinds, rounded ones among them: each goes its way.
TEST(SpectralGroupOfLayers, RoundedWeightsAreRoundedFromTheirs) {
  auto config = network_config(NetworkKind::sn_cnn, NormKind::none, WeightKind::spectral);
  config.discriminator.quantizer = QuantizerKind::dorefa;
  const auto network = make_discriminator(config, small_shape(NetworkKind::sn_cnn, 3));
  initialize(*network, 3);
  const auto weights = [&](SpectralGrouping grouping) {
    const SpectralGroupingGuard guard(grouping);
    const auto frozen = network->frozen_weights();
    std::vector<torch::Tensor> each;
    for (const auto& [name, layer] : network->layers()) each.push_back(frozen.of(*layer));
    return each;
  };
  const auto alone = weights(kAlone);
  const auto together = weights(kTogether);
  for (size_t i = 0; i < alone.size(); ++i) {
    EXPECT_FALSE(together[i].requires_grad());
    EXPECT_TRUE(close(together[i], alone[i], 1e-5)) << i;
    EXPECT_LE(std::get<0>(at::_unique(together[i])).numel(), 1 << 9) << i;
  }
}

// What the discriminator's spectral norms add to one update of each network, in operations, as README.md has it.
// Counted on the CPU, where the same are asked of LibTorch as on a GPU.
TEST(SpectralGroupOfLayers, TakesAThirdOfTheOperations) {
  auto config = network_config(NetworkKind::sn_cnn, NormKind::none, WeightKind::spectral);
  const auto network = make_discriminator(config, small_shape(NetworkKind::sn_cnn, 3));
  initialize(*network, 3);
  network->to(torch::kDouble);  // its layout is a GPU's
  ASSERT_EQ(network->layers().size(), 8U);
  std::vector<torch::Tensor> originals;
  for (const auto& [name, layer] : network->layers()) originals.push_back(stored(layer, "original"));
  const auto count = [&](SpectralGrouping grouping) {
    const SpectralGroupingGuard guard(grouping);
    std::vector<torch::Tensor> cotangents;
    for (const auto& original : originals) cotangents.push_back(torch::ones_like(original));
    const OperatorCount operators;
    network->advance_parametrizations();
    const auto forward = network->effective_weights();
    std::vector<torch::Tensor> weights;
    for (const auto& [name, layer] : network->layers()) weights.push_back(forward.of(*layer));
    grad(weights, originals, cotangents);
    network->frozen_weights();
    return operators.total();
  };
  EXPECT_EQ(count(kAlone), 344);
  EXPECT_EQ(count(kTogether), 108);
}

INSTANTIATE_TEST_SUITE_P(Networks, SpectralGroup,
                         testing::Combine(testing::Values(NetworkKind::mlp, NetworkKind::sn_cnn,
                                                          NetworkKind::sn_resnet),
                                          testing::Values(torch::kFloat, torch::kDouble)),
                         [](const auto& test) {
                           return std::string(name_of(std::get<0>(test.param))) +
                                  (std::get<1>(test.param) == torch::kDouble ? "_f64" : "_f32");
                         });

}  // namespace
}  // namespace sgan
