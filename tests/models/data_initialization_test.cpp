#include "models/data_initialization.h"

#include <gtest/gtest.h>

#include "tests/fixtures/fixture.h"
#include "tests/models/seeded_network.h"

namespace sgan {
namespace {

GeneratorFor draws(uint64_t seed) {
  return [seed](std::string_view name) {
    return make_generator(stream_seed(seed, Stream::init_discriminator, name), torch::kCPU);
  };
}

struct Networks {
  Network generator;
  Network discriminator;
};

Networks made(const Config& config, const std::vector<int64_t>& sample_shape) {
  Networks networks{make_generator(config, sample_shape), make_discriminator(config, sample_shape)};
  initialize(*networks.generator, 1);
  initialize(*networks.discriminator, 2);
  return networks;
}

// Every layer's outputs in a forward pass on the batch, (channels, samples and positions).
std::vector<std::pair<WeightedLayer, torch::Tensor>> pre_activations(const NetworkImpl& network,
                                                                     const torch::Tensor& batch) {
  torch::NoGradGuard no_grad;
  std::vector<std::pair<WeightedLayer, torch::Tensor>> seen;
  const auto weights = network.effective_weights();
  run_composition(network.composition(), batch, Mode::train_frozen,
                  [&](const WeightedLayer& layer, const torch::Tensor& x) {
                    auto output = layer->forward(x, weights.of(*layer));
                    seen.emplace_back(layer, output.transpose(0, 1).flatten(1).to(torch::kDouble));
                    return output;
                  });
  return seen;
}

void expect_standardized(const NetworkImpl& network, const torch::Tensor& batch) {
  const auto seen = pre_activations(network, batch);
  EXPECT_EQ(seen.size(), network.layers().size());
  for (size_t i = 0; i < seen.size(); ++i) {
    SCOPED_TRACE(i);
    const auto& [layer, output] = seen[i];
    EXPECT_TRUE(close(output.var(1, /*unbiased=*/false), torch::ones({output.size(0)}), 1e-4));
    if (layer->bias().defined()) {
      EXPECT_TRUE(close(output.mean(1), torch::zeros({output.size(0)}), 1e-5));
    }
  }
}

class DataInitialization : public testing::TestWithParam<std::tuple<NetworkKind, NormKind>> {};

TEST_P(DataInitialization, PreActivationsHaveMeanZeroAndVarianceOne) {
  const auto [kind, norm] = GetParam();
  auto config = network_config(kind, norm, WeightKind::weight_norm);
  const auto shape = small_shape(kind);
  const auto [generator, discriminator] = made(config, shape);
  const auto before = copy_of(state_of(*generator));
  const auto latent = draw_normal({32, 6}, 3);
  const auto real = draw_normal({32, shape[0], shape[1], shape[2]}, 4);
  initialize_from_data(*generator, draws(5), latent);
  initialize_from_data(*discriminator, draws(5), kind == NetworkKind::mlp ? real.flatten(1) : real);
  expect_standardized(*generator, latent);
  expect_standardized(*discriminator, real);
  for (const auto& item : generator->named_buffers()) EXPECT_TRUE(torch::equal(item.value(), before.at(item.key())));
}

INSTANTIATE_TEST_SUITE_P(Kinds, DataInitialization,
                         testing::Combine(testing::Values(NetworkKind::mlp, NetworkKind::dcgan, NetworkKind::sn_cnn,
                                                          NetworkKind::sn_resnet),
                                          testing::Values(NormKind::none, NormKind::batch)),
                         [](const auto& test) {
                           return std::string(name_of(std::get<0>(test.param))) + "_" +
                                  std::string(name_of(std::get<1>(test.param)));
                         });

TEST(DataInitialization, DirectionsAreNormalAndDrawnByName) {
  auto config = network_config(NetworkKind::mlp, NormKind::none, WeightKind::weight_norm);
  config.discriminator.channels = 128;
  const auto directions = [&](uint64_t seed) {
    const auto network = made(config, {2}).discriminator;
    initialize_from_data(*network, draws(seed), draw_normal({16, 2}, 1));
    return state_of(*network).at("linear1.parametrizations.weight.original1");
  };
  const auto first = directions(1);  // 16,384 values
  EXPECT_NEAR(first.mean().item<double>(), 0, 4 * 0.05 / 128);
  EXPECT_NEAR(first.std().item<double>(), 0.05, 4 * 0.05 / (128 * std::sqrt(2.0)));
  EXPECT_NEAR((first.abs() < 0.05).to(torch::kDouble).mean().item<double>(), 0.6827, 0.015);
  EXPECT_TRUE(torch::equal(directions(1), first));
  EXPECT_FALSE(torch::equal(directions(2), first));
}

TEST(DataInitialization, ChannelsThatDoNotVaryKeepTheirGainsAndBiases) {
  const auto config = network_config(NetworkKind::mlp, NormKind::none, WeightKind::weight_norm);
  const auto network = made(config, {2}).discriminator;
  const auto before = copy_of(state_of(*network));
  initialize_from_data(*network, draws(1), torch::ones({8, 2}));  // every sample the same
  for (const auto& [name, tensor] : state_of(*network)) {
    EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << name;
    if (name.ends_with("bias")) {
      EXPECT_TRUE(torch::equal(tensor, before.at(name))) << name;
    }
    if (!name.ends_with("original0")) continue;
    const auto v = state_of(*network).at(name.substr(0, name.size() - 1) + "1");
    EXPECT_TRUE(close(tensor, v.norm(2, {1}, /*keepdim=*/true), 1e-6)) << name;
  }
}

TEST(DataInitialization, LeavesOtherKindsOfWeightsAlone) {
  for (const auto& [weight, name] : Names<WeightKind>::table) {
    const auto config = network_config(NetworkKind::dcgan, NormKind::none, weight);
    const auto network = made(config, {1, 16, 16}).discriminator;
    const auto before = copy_of(state_of(*network));
    initialize_from_data(*network, draws(1), draw_normal({8, 1, 16, 16}, 1));
    EXPECT_EQ(bool(equal(state_of(*network), before)), weight != WeightKind::weight_norm) << name;
  }
}

}  // namespace
}  // namespace sgan
