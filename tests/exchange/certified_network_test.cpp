#include "exchange/certified_network.h"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include "configs/error.h"
#include "lipschitz/critic_slope.h"
#include "lipschitz/dense_operator.h"
#include "models/composed_network.h"
#include "tests/models/seeded_network.h"

namespace sgan {
namespace {

constexpr double kTolerance = 1e-6;

Network small_critic(NetworkKind kind, WeightKind weight, NormKind norm = NormKind::none) {
  auto config = network_config(kind, norm, weight);
  config.discriminator.channels = 2;
  const auto critic = make_discriminator(config, small_shape(kind));
  initialize(*critic, 1);
  return critic;
}

// f with the exported numbers, in float64: the layers read their biases, the pass its weights.
torch::Tensor exported_values(const Network& critic, const PlainNetwork& plain, const torch::Tensor& x) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, layer] : critic->layers()) {
    if (auto bias = layer->bias(); bias.defined()) bias.copy_(plain.bias_of(name));
  }
  EffectiveWeights wide;
  for (const auto& [name, layer] : critic->layers()) {
    wide.set(*layer, plain.tensors.at(name + ".weight").to(torch::kDouble));
  }
  critic->to(torch::kDouble);
  return critic->forward(x.to(torch::kDouble), wide, Mode::eval);
}

// By a route of its own: the product of the layers' norms by SVD of their dense matrices.
TEST(CertifiedNetwork, IsOneLipschitzByDenseSvd) {
  for (const auto weight : {WeightKind::spectral_operator, WeightKind::spectral, WeightKind::none}) {
    SCOPED_TRACE(name_of(weight));
    const auto critic = small_critic(NetworkKind::dcgan, weight);
    // Without the dense routes the certificates are not exact, and must hold all the same.
    const auto certified = certify(*critic, 1, {.exact_side = 0});
    EXPECT_TRUE(certified.layer_by_layer);
    ASSERT_EQ(certified.layers.size(), critic->layers().size());
    double product = 1;
    for (size_t i = 0; i < certified.layers.size(); ++i) {
      const auto& [name, layer] = critic->layers()[i];
      const double norm =
          torch::linalg_svdvals(dense_operator(certified.plain.tensors.at(name + ".weight"), layer->geometry()))[0]
              .item<double>();
      EXPECT_LE(norm, certified.layers[i].upper * (1 + 1e-12)) << name;
      EXPECT_LE(norm, 1 + kTolerance) << name;
      EXPECT_GE(norm, 0.9) << name << ": the certificate would be an idle one";
      product *= norm;
    }
    EXPECT_LE(product, 1 + kTolerance);
    EXPECT_LE(certified.upper, 1);
  }
}

TEST(CertifiedNetwork, IsTheTrainedFunctionUpToItsScale) {
  for (const auto kind : {NetworkKind::dcgan, NetworkKind::sn_cnn, NetworkKind::sn_resnet}) {
    SCOPED_TRACE(name_of(kind));
    const auto critic = small_critic(kind, WeightKind::spectral_operator);
    {
      torch::NoGradGuard no_grad;  // biases other than the initial zeros
      uint64_t seed = 1;
      for (const auto& [name, layer] : critic->layers()) {
        if (auto bias = layer->bias(); bias.defined()) bias.copy_(draw_normal(bias.sizes().vec(), ++seed));
      }
    }
    auto shape = small_shape(kind);
    shape.insert(shape.begin(), 5);
    const auto x = draw_normal(shape, 9);
    const auto trained = critic->forward(x, Mode::eval).to(torch::kDouble).detach();
    const auto certified = certify(*critic, 1);
    EXPECT_EQ(certified.layer_by_layer, kind != NetworkKind::sn_resnet);
    const auto exported = exported_values(critic, certified.plain, x);
    EXPECT_TRUE(torch::allclose(exported, certified.scale * trained, 1e-4, 1e-6)) << exported << trained;
  }
}

TEST(CertifiedNetwork, BoundsTheSlopesOfResidualNetworksAndReachesTheConstantAskedFor) {
  const auto critic = small_critic(NetworkKind::sn_resnet, WeightKind::spectral_operator);
  const auto certified = certify(*critic, 3.5);
  EXPECT_LE(certified.upper, 3.5);
  EXPECT_GT(certified.upper, 3.5 * (1 - 1e-4));
  EXPECT_FALSE(certified.layer_by_layer);
  // The bound anew, of what the file would hold.
  const auto again = bound_network(*critic, weights_of(certified.plain, *critic));
  EXPECT_EQ(again.upper, certified.upper);
}

TEST(CertifiedNetwork, LeavesTheTrainedNetworkAlone) {
  const auto critic = small_critic(NetworkKind::dcgan, WeightKind::spectral_operator);
  const auto before = critic->frozen_weights();
  const auto copy = before.of(*critic->layers()[0].second).clone();
  certify(*critic, 1);
  EXPECT_TRUE(critic->frozen_weights().of(*critic->layers()[0].second).equal(copy));
}

TEST(CertifiedNetwork, RefusesWhatHasNoUsefulBound) {
  EXPECT_THROW(certify(*small_critic(NetworkKind::dcgan, WeightKind::spectral, NormKind::layer), 1), UserError);
  const auto constant = small_critic(NetworkKind::dcgan, WeightKind::none);
  torch::NoGradGuard no_grad;
  for (auto& parameter : constant->parameters()) parameter.zero_();
  EXPECT_THROW(certify(*constant, 1), UserError);
}

TEST(PlainNetwork, HoldsEffectiveWeightsUnderPlainNames) {
  const auto critic = small_critic(NetworkKind::sn_resnet, WeightKind::weight_norm, NormKind::batch);
  const auto plain = plain_network(*critic);
  const auto weights = critic->frozen_weights();
  for (const auto& [name, layer] : critic->layers()) {
    EXPECT_TRUE(plain.tensors.at(name + ".weight").equal(weights.of(*layer))) << name;
  }
  EXPECT_TRUE(plain.tensors.contains("block1.norm0.running_var"));
  for (const auto& [name, tensor] : plain.tensors) EXPECT_EQ(name.find("parametrizations"), std::string::npos) << name;
}

}  // namespace
}  // namespace sgan
