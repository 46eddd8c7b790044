#include "normalization/spectral_bidirectional_norm.h"

#include <gtest/gtest.h>

#include "normalization/reshape.h"
#include "tests/normalization/layer_cases.h"

namespace sgan {
namespace {

using torch::autograd::grad;

WeightedLayer bidirectional(const OperatorGeometry& geometry, const SpectralOptions& options = {}) {
  return random_layer(geometry, WeightKind::spectral_bidirectional, options);
}

// (out × in·k²) and (in × out·k²).
std::pair<torch::Tensor, torch::Tensor> reshapes(const WeightedLayer& layer, const torch::Tensor& weight) {
  const auto out = layer->geometry().output_dim();
  return {reshape_to_matrix(weight, out), reshape_to_matrix(weight, 1 - out)};
}

TEST(SpectralBidirectionalNorm, SigmaMatchesSvdOfBothReshapes) {
  for (const auto& [name, geometry] : layer_cases()) {
    SCOPED_TRACE(name);
    const auto layer = bidirectional(geometry, {.warmup = 0});
    const auto [forward, backward] = reshapes(layer, stored(layer, "original"));
    EXPECT_EQ(forward.size(0), geometry.out_channels);
    EXPECT_EQ(backward.size(0), geometry.in_channels);
    EXPECT_EQ(stored(layer, "0._u").size(0), geometry.out_channels);
    EXPECT_EQ(stored(layer, "0._u_in").size(0), geometry.in_channels);
    advance(layer, 200);
    const double exact = (largest_singular_value(forward) + largest_singular_value(backward)) / 2;
    const double sigma = layer->parametrization().sigma().item<double>();
    EXPECT_NEAR(sigma, exact, 0.01 * exact);
    EXPECT_LE(sigma, exact * (1 + 1e-12));
  }
}

TEST(SpectralBidirectionalNorm, ScaleAndTargetMultiplyTheWeight) {
  const auto& geometry = layer_cases()[3].geometry;
  const auto layer = bidirectional(geometry, {.target = 3, .scale = 0.5});
  const auto expected = 1.5 * stored(layer, "original") / layer->parametrization().sigma();
  EXPECT_TRUE(close(layer->parametrization().effective(), expected, 1e-14));
}

TEST(SpectralBidirectionalNorm, EqualsSpectralNormOnLinearLayers) {
  const auto& geometry = layer_cases()[0].geometry;
  const SpectralOptions options{.warmup = 500};
  const auto expected = random_layer(geometry, WeightKind::spectral, options)->parametrization().effective();
  EXPECT_TRUE(close(bidirectional(geometry, options)->parametrization().effective(), expected, 1e-12));
}

TEST(SpectralBidirectionalNorm, FirstPairIsSpectralNorms) {
  const auto& geometry = layer_cases()[4].geometry;
  const auto both = bidirectional(geometry);
  const auto one = random_layer(geometry, WeightKind::spectral);
  for (const std::string name : {"0._u", "0._v"}) {
    EXPECT_TRUE(torch::equal(stored(both, name), stored(one, name))) << name;
  }
}

TEST(SpectralBidirectionalNorm, RealPlusFakeBackwardEqualsAnalyticGradient) {
  for (const auto& [name, geometry] : layer_cases()) {
    SCOPED_TRACE(name);
    const auto layer = bidirectional(geometry, {.warmup = 1});
    const auto original = stored(layer, "original");
    const auto normalized = layer->parametrization().effective();
    const auto real = layer->forward(inputs_of(geometry, 3, 4), normalized);
    const auto fake = layer->forward(inputs_of(geometry, 3, 5), normalized);
    const auto gradients = grad({(real.sin() - fake.cos()).sum()}, {original, normalized});

    const auto out = geometry.output_dim();
    const auto back = [&](const std::string& suffix, int64_t rows) {
      auto shape = geometry.weight_shape();
      std::swap(shape[0], shape[static_cast<size_t>(rows)]);
      const auto outer = torch::outer(stored(layer, "0._u" + suffix), stored(layer, "0._v" + suffix));
      return outer.view(shape).movedim(0, rows);
    };
    const auto slope = (back("", out) + back("_in", 1 - out)) / 2;
    const auto inner = (gradients[1] * normalized).sum();
    const auto analytic = (gradients[1] - inner * slope) / layer->parametrization().sigma();
    EXPECT_TRUE(close(gradients[0], analytic, 1e-13));
  }
}

}  // namespace
}  // namespace sgan
