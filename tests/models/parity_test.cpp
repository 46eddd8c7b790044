#include <gtest/gtest.h>

#include "models/factory.h"
#include "tests/fixtures/fixture.h"
#include "tests/models/seeded_network.h"

// Networks loaded strictly by PyTorch's state names against PyTorch's outputs.

namespace sgan {
namespace {

struct Pair {
  Network generator;
  Network discriminator;
};

Pair load_pair(const Config& config, const std::vector<int64_t>& sample_shape, const Tensors& stored) {
  Pair pair{make_generator(config, sample_shape), make_discriminator(config, sample_shape)};
  load_state(*pair.generator, stored, "generator.");
  load_state(*pair.discriminator, stored, "discriminator.");
  return pair;
}

void expect_image_parity(const Config& config, const std::vector<int64_t>& sample_shape, const Tensors& stored) {
  const auto [generator, discriminator] = load_pair(config, sample_shape, stored);
  EXPECT_TRUE(close(generator->forward(stored.at("latent"), Mode::eval), stored.at("images"), 1e-5));
  EXPECT_TRUE(close(generator->forward(stored.at("latent"), Mode::train_frozen), stored.at("images_train"), 1e-5));
  EXPECT_TRUE(close(generator->forward(stored.at("latent"), Mode::train), stored.at("images_train"), 1e-5));
  EXPECT_TRUE(close(discriminator->forward(stored.at("images"), Mode::eval), stored.at("critic"), 1e-5));
}

TEST(Parity, Dcgan) {
  Config config;
  config.generator = {.kind = NetworkKind::dcgan, .latent = 12, .channels = 6, .norm = NormKind::batch};
  config.discriminator = {.kind = NetworkKind::dcgan, .channels = 6, .weight = WeightKind::spectral};
  expect_image_parity(config, {1, 16, 16}, load_fixture("dcgan"));
}

TEST(Parity, Dcgan48) {
  Config config;
  config.generator = {.kind = NetworkKind::dcgan, .latent = 6, .channels = 2, .norm = NormKind::batch};
  config.discriminator = {
      .kind = NetworkKind::dcgan, .channels = 2, .norm = NormKind::batch, .weight = WeightKind::none};
  expect_image_parity(config, {3, 48, 48}, load_fixture("dcgan48"));
}

struct SnCase {
  const char* fixture;
  NetworkKind kind;
  std::vector<int64_t> shape;
  int64_t channels;
  WeightKind weight = WeightKind::spectral;
};

TEST(Parity, SnCnnAndSnResnet) {
  for (const auto& [fixture, kind, shape, channels, weight] :
       {SnCase{"sn_cnn", NetworkKind::sn_cnn, {3, 32, 32}, 2},
        SnCase{"sn_cnn48", NetworkKind::sn_cnn, {1, 48, 48}, 1, WeightKind::none},
        SnCase{"sn_cnn_public", NetworkKind::sn_cnn_public, {3, 32, 32}, 2},
        SnCase{"sn_resnet32", NetworkKind::sn_resnet, {3, 32, 32}, 2},
        SnCase{"sn_resnet48", NetworkKind::sn_resnet, {3, 48, 48}, 1},
        SnCase{"sn_resnet64", NetworkKind::sn_resnet, {3, 64, 64}, 1, WeightKind::none},
        SnCase{"sn_resnet128", NetworkKind::sn_resnet, {3, 128, 128}, 1}}) {
    SCOPED_TRACE(fixture);
    Config config;
    config.generator = {.kind = kind, .latent = 6, .channels = channels, .norm = NormKind::batch};
    config.discriminator = {.kind = kind, .channels = channels, .weight = weight};
    expect_image_parity(config, shape, load_fixture(fixture));
  }
}

TEST(Parity, Mlp) {
  Config config;
  config.generator = {.kind = NetworkKind::mlp, .latent = 4, .channels = 16, .depth = 2, .norm = NormKind::none};
  config.discriminator = {.kind = NetworkKind::mlp, .channels = 16, .depth = 2, .weight = WeightKind::spectral};
  const auto stored = load_fixture("mlp");
  const auto [generator, discriminator] = load_pair(config, {2}, stored);
  EXPECT_TRUE(close(generator->forward(stored.at("latent"), Mode::eval), stored.at("points"), 1e-5));
  EXPECT_TRUE(close(discriminator->forward(stored.at("points"), Mode::eval), stored.at("critic"), 1e-5));
}

}  // namespace
}  // namespace sgan
