#include "normalization/quantizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "normalization/reshape.h"
#include "normalization/weight_statistics.h"
#include "tests/normalization/layer_cases.h"

namespace sgan {
namespace {

using torch::autograd::grad;

constexpr int64_t kFixtureBits = 4;

// The fixtures' weights.
const std::vector<LayerCase>& fixture_layers() {
  static const std::vector<LayerCase> kLayers{
      {"linear", {OperatorKind::linear, 7, 5}},
      {"conv", {OperatorKind::conv, 3, 4, 3, 1, 1, 5}},
      {"conv_transpose", {OperatorKind::conv_transpose, 3, 4, 2, 2, 0, 3}},
  };
  return kLayers;
}

QuantizerOptions options_of(QuantizerGroup per, QuantizerScale scale = QuantizerScale::learned) {
  QuantizerOptions options;
  options.per = per;
  options.scale = scale;
  return options;
}

// A float64 quantizer whose scale is `scale`, if it keeps one.
WeightQuantizer quantizer_with(QuantizerKind kind, int64_t bits, const QuantizerOptions& options,
                               const OperatorGeometry& geometry, const torch::Tensor& scale = {}) {
  WeightQuantizer quantizer(kind, bits, options, geometry);
  quantizer->to(torch::kDouble);
  if (scale.defined()) {
    torch::NoGradGuard no_grad;
    state_of(*quantizer).at("scale").copy_(scale);
  }
  return quantizer;
}

torch::Tensor rows_of(const torch::Tensor& weight, QuantizerGroup per, const OperatorGeometry& geometry) {
  return per == QuantizerGroup::layer ? weight.reshape({1, -1}) : reshape_to_matrix(weight, geometry.output_dim());
}

using Case = std::tuple<LayerCase, QuantizerGroup>;

class QuantizerCases : public testing::TestWithParam<Case> {
 protected:
  const OperatorGeometry& geometry() const { return std::get<0>(GetParam()).geometry; }
  QuantizerGroup per() const { return std::get<1>(GetParam()); }
  torch::Tensor rows(const torch::Tensor& weight) const { return rows_of(weight, per(), geometry()); }
  torch::Tensor random_weight(uint64_t seed) const { return normal(geometry().weight_shape(), seed); }
};

INSTANTIATE_TEST_SUITE_P(Layers, QuantizerCases,
                         testing::Combine(testing::ValuesIn(fixture_layers()),
                                          testing::Values(QuantizerGroup::layer, QuantizerGroup::channel)),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" + std::string(name_of(std::get<1>(test.param)));
                         });

TEST_P(QuantizerCases, MatchPyTorch) {
  const auto fixture = load_fixture("quantizer");
  const auto name = std::get<0>(GetParam()).name;
  const auto prefix = name + "." + std::string(name_of(per())) + ".";
  const auto cotangent = fixture.at(name + ".cotangent");
  for (const auto& [kind_name, kind, bits] : {std::tuple{"wnq", QuantizerKind::wnq, kFixtureBits},
                                              {"smooth", QuantizerKind::wnq, int64_t{0}},
                                              {"dorefa", QuantizerKind::dorefa, kFixtureBits}}) {
    SCOPED_TRACE(kind_name);
    const auto expected = [&, kind_text = std::string(kind_name)](const std::string& what) {
      return fixture.at(prefix + kind_text + "." + what);
    };
    const auto weight = fixture.at(name + ".weight").clone().requires_grad_(true);
    const auto quantizer = quantizer_with(kind, bits, options_of(per()), geometry(), fixture.at(prefix + "scale"));
    const auto output = quantizer->forward(weight);
    EXPECT_TRUE(close(output, expected("output"), 1e-13));
    const auto gradients = grad({output}, {weight, state_of(*quantizer).at("scale")}, {cotangent});
    EXPECT_TRUE(close(gradients[0], expected("grad_weight"), 1e-12));
    EXPECT_TRUE(close(gradients[1], expected("grad_scale"), 1e-12));
  }
}

TEST_P(QuantizerCases, TernaryMatchesNumpyAndPassesGradientsOn) {
  const auto fixture = load_fixture("quantizer");
  const auto name = std::get<0>(GetParam()).name;
  const auto weight = fixture.at(name + ".weight").clone().requires_grad_(true);
  const auto quantizer = quantizer_with(QuantizerKind::twn, 2, options_of(per()), geometry());
  const auto output = quantizer->forward(weight);
  EXPECT_TRUE(close(output, fixture.at(name + "." + std::string(name_of(per())) + ".twn.output"), 1e-13));
  const auto cotangent = fixture.at(name + ".cotangent");
  EXPECT_TRUE(close(grad({output}, {weight}, {cotangent})[0], cotangent, 1e-13));
}

// FORMULAS 5: for i ≠ k g_i / m; for k −(sign w_k / m) Σ_{i≠k} g_i ŵ_i; ⟨w, ∇w⟩ = 0.
TEST_P(QuantizerCases, GradientOfMaxNormalizationIsTheFormula) {
  for (const int64_t bits : {0, 4, 2}) {
    SCOPED_TRACE(bits);
    const auto weight = random_weight(3).requires_grad_(true);
    const auto cotangent = random_weight(4);
    const auto scale = rows(weight).detach().abs().amax(1).mul(1.5);
    const auto quantizer = quantizer_with(QuantizerKind::wnq, bits, options_of(per(), QuantizerScale::fixed),
                                          geometry(), per() == QuantizerGroup::layer ? scale : scale.view({-1}));
    const auto gradient = rows(grad({quantizer->forward(weight)}, {weight}, {cotangent})[0]);

    const auto w = rows(weight.detach());
    const auto g = rows(cotangent) * scale.view({-1, 1});  // by ŵ
    const auto k = w.abs().argmax(1, true);
    const auto m = w.abs().amax(1, true);
    const auto normalized = w / m;
    const auto others = (g * normalized).sum(1, true) - (g * normalized).gather(1, k);
    const auto expected = (g / m).scatter(1, k, -w.gather(1, k).sign() / m * others);
    EXPECT_TRUE(close(gradient, expected, 1e-12));
    EXPECT_LT((w * gradient).sum(1).abs().max().item<double>(), 1e-12 * (w * gradient).abs().sum().item<double>());
  }
}

TEST_P(QuantizerCases, GradientOfMaxNormalizationIsTheFiniteDifference) {
  constexpr double kStep = 1e-6;
  const auto weight = random_weight(5).requires_grad_(true);
  const auto cotangent = random_weight(6);
  for (const auto kind : {QuantizerKind::wnq, QuantizerKind::dorefa}) {
    SCOPED_TRACE(name_of(kind));
    const auto quantizer = quantizer_with(kind, 0, options_of(per()), geometry());
    const auto value = [&](const torch::Tensor& w) {
      torch::NoGradGuard no_grad;
      return (quantizer->forward(w) * cotangent).sum().item<double>();
    };
    const auto gradient = grad({quantizer->forward(weight)}, {weight}, {cotangent})[0].flatten();
    for (int64_t i = 0; i < weight.numel(); ++i) {
      auto up = weight.detach().clone(), down = up.clone();
      up.view(-1)[i] += kStep;
      down.view(-1)[i] -= kStep;
      EXPECT_NEAR(gradient[i].item<double>(), (value(up) - value(down)) / (2 * kStep), 1e-6) << "element " << i;
    }
  }
}

// At a tie the maximum has one-sided derivatives only: outward at the index that counts as the largest, the first, and
// inward at the others, the gradient is the function's own.
TEST(Quantizer, TiesHaveTheOneSidedDerivativesOfTheFirst) {
  constexpr double kStep = 1e-6;
  const OperatorGeometry geometry{OperatorKind::linear, 3, 2};
  const auto weight = torch::tensor({0.5, -2.0, 0.25, 2.0, -1.0, -2.0}, torch::kDouble).view({2, 3});
  const std::vector<int64_t> ties{1, 3, 5};
  const auto cotangent = normal({2, 3}, 8);
  const auto quantizer = quantizer_with(QuantizerKind::wnq, 0, options_of(QuantizerGroup::layer), geometry);
  const auto value = [&](const torch::Tensor& w) {
    torch::NoGradGuard no_grad;
    return (quantizer->forward(w) * cotangent).sum().item<double>();
  };
  const auto trained = weight.clone().requires_grad_(true);
  const auto gradient = grad({quantizer->forward(trained)}, {trained}, {cotangent})[0].flatten();
  for (const auto i : ties) {
    const double sign = weight.view(-1)[i].item<double>() > 0 ? 1 : -1;
    const double direction = i == ties.front() ? sign : -sign;
    auto moved = weight.clone();
    moved.view(-1)[i] += direction * kStep;
    const double one_sided = (value(moved) - value(weight)) / (direction * kStep);
    EXPECT_NEAR(gradient[i].item<double>(), one_sided, 1e-6 * std::max(1.0, std::abs(one_sided))) << "element " << i;
  }
  EXPECT_NEAR((gradient * weight.flatten()).sum().item<double>(), 0, 1e-12);
}

TEST_P(QuantizerCases, AtMostAsManyLevelsAsBitsGive) {
  for (const auto& [kind, bits, most] : {std::tuple{QuantizerKind::wnq, int64_t{4}, int64_t{15}},
                                         {QuantizerKind::wnq, 3, 7},
                                         {QuantizerKind::wnq, 2, 3},
                                         {QuantizerKind::dorefa, 3, 8},
                                         {QuantizerKind::twn, 2, 3}}) {
    SCOPED_TRACE(std::string(name_of(kind)) + " " + std::to_string(bits));
    const auto quantizer = quantizer_with(kind, bits, options_of(per(), QuantizerScale::fitted), geometry());
    const auto output = rows(quantizer->forward(random_weight(9)));
    for (const auto& row : output.unbind(0)) {
      EXPECT_LE(std::get<0>(torch::_unique2(row)).numel(), most);
    }
  }
  for (const int64_t bits : {8, 6, 4, 3, 2}) {
    for (const auto clipping : {Clipping::max, Clipping::mse}) {
      const auto quantized = quantize(random_weight(10), bits, per(), clipping, geometry().output_dim());
      EXPECT_EQ(quantized.span, (1 << bits) - 2);
      EXPECT_LE(quantized.codes.max().item<int64_t>(), quantized.span);
      EXPECT_EQ(quantized.scale.numel(), per() == QuantizerGroup::layer ? 1 : geometry().out_channels);
    }
  }
}

// What is packed is what was trained with, to the last bit.
TEST_P(QuantizerCases, DequantizedCodesAreTheForwardPass) {
  for (const auto kind : {QuantizerKind::wnq, QuantizerKind::dorefa, QuantizerKind::twn}) {
    for (const auto scale : {QuantizerScale::fixed, QuantizerScale::learned, QuantizerScale::fitted}) {
      for (const int64_t bits : {8, 5, 3, 2}) {
        SCOPED_TRACE(std::string(name_of(kind)) + " " + std::string(name_of(scale)) + " " + std::to_string(bits));
        WeightQuantizer quantizer(kind, bits, options_of(per(), scale), geometry());
        for (uint64_t seed = 20; seed < 30; ++seed) {
          auto weight = random_weight(seed).to(torch::kFloat) * 0.37;
          if (weight.dim() == 4) weight = weight.contiguous(torch::MemoryFormat::ChannelsLast);
          quantizer->initialize(weight);
          torch::NoGradGuard no_grad;
          const auto forward = quantizer->forward(weight);
          const auto quantized = quantizer->quantize(weight);
          EXPECT_EQ(forward.sizes(), weight.sizes());
          EXPECT_TRUE(torch::equal(dequantize(quantized, geometry().output_dim()), forward));
          EXPECT_TRUE(torch::equal(quantizer->forward(weight.contiguous()), forward));
        }
      }
    }
  }
}

TEST_P(QuantizerCases, ScalesAreTheKindsThatTheyAreCalled) {
  const auto weight = random_weight(11).to(torch::kFloat);
  const auto largest = rows(weight).abs().amax(1);
  for (const auto kind : {QuantizerKind::wnq, QuantizerKind::dorefa}) {
    WeightQuantizer fixed(kind, 4, options_of(per(), QuantizerScale::fixed), geometry());
    fixed->initialize(weight);
    EXPECT_EQ(fixed->parameters().size(), 0u);
    EXPECT_TRUE(torch::equal(state_of(*fixed).at("scale"), largest));
    WeightQuantizer learned(kind, 4, options_of(per(), QuantizerScale::learned), geometry());
    learned->initialize(weight);
    ASSERT_EQ(learned->parameters().size(), 1u);
    EXPECT_TRUE(torch::equal(learned->parameters()[0], largest));
    EXPECT_TRUE(torch::equal(learned->forward(weight), fixed->forward(weight)));

    // No other factor has a smaller squared error.
    WeightQuantizer fitted(kind, 3, options_of(per(), QuantizerScale::fitted), geometry());
    EXPECT_TRUE(state_of(*fitted).empty());
    torch::NoGradGuard no_grad;
    const auto output = fitted->forward(weight);
    const auto error = [&](double factor) {
      return (rows(factor * output - weight)).to(torch::kDouble).square().sum(1);
    };
    EXPECT_TRUE((error(1) <= error(1.001)).all().item<bool>());
    EXPECT_TRUE((error(1) <= error(0.999)).all().item<bool>());
  }
  // Max normalization that rounds nothing is the weight itself at the start.
  WeightQuantizer smooth(QuantizerKind::wnq, 0, options_of(per()), geometry());
  smooth->initialize(weight);
  EXPECT_TRUE(close(smooth->forward(weight), weight, 1e-6));
}

TEST_P(QuantizerCases, ZeroWeightsStayZeroWithFiniteGradients) {
  for (const auto kind : {QuantizerKind::wnq, QuantizerKind::dorefa, QuantizerKind::twn}) {
    for (const auto scale : {QuantizerScale::fixed, QuantizerScale::learned, QuantizerScale::fitted}) {
      SCOPED_TRACE(std::string(name_of(kind)) + " " + std::string(name_of(scale)));
      WeightQuantizer quantizer(kind, 4, options_of(per(), scale), geometry());
      const auto weight = torch::zeros(geometry().weight_shape()).requires_grad_(true);
      quantizer->initialize(weight);
      const auto output = quantizer->forward(weight);
      EXPECT_EQ(output.abs().max().item<double>(), 0);
      const auto gradient = grad({output}, {weight}, {torch::ones_like(weight)})[0];
      EXPECT_TRUE(gradient.isfinite().all().item<bool>());
      const auto back = dequantize(quantizer->quantize(weight.detach()), geometry().output_dim());
      EXPECT_EQ(back.abs().max().item<double>(), 0);
    }
  }
  const auto quantized =
      quantize(torch::zeros(geometry().weight_shape()), 4, per(), Clipping::mse, geometry().output_dim());
  EXPECT_EQ(dequantize(quantized, geometry().output_dim()).abs().max().item<double>(), 0);
}

// ---- Afterwards ----------------------------------------------------------------------------------------------------

double sqnr(const torch::Tensor& weight, int64_t bits, QuantizerGroup per, Clipping clipping, int64_t dim = 0) {
  return rounding_error(weight, dequantize(quantize(weight, bits, per, clipping, dim), dim)).sqnr_db();
}

TEST(Quantize, SqnrIsNumpys) {
  const auto fixture = load_fixture("quantizer");
  const auto weight = fixture.at("after.weight");
  const std::vector<int64_t> bits{8, 6, 4, 3, 2};
  for (size_t i = 0; i < bits.size(); ++i) {
    SCOPED_TRACE(bits[i]);
    const auto expected = [&](const char* name) { return fixture.at(name)[static_cast<int64_t>(i)].item<double>(); };
    EXPECT_NEAR(sqnr(weight, bits[i], QuantizerGroup::layer, Clipping::max), expected("after.layer"), 1e-6);
    EXPECT_NEAR(sqnr(weight, bits[i], QuantizerGroup::channel, Clipping::max), expected("after.channel"), 1e-6);
    // Numpy looked ten times as closely.
    const auto clipped = sqnr(weight, bits[i], QuantizerGroup::layer, Clipping::mse);
    EXPECT_LE(clipped, expected("after.best") + 1e-3);
    EXPECT_GE(clipped, expected("after.best") - 0.05);
  }
  const auto shape = weight_shape_of(weight);
  EXPECT_NEAR(shape.kurtosis, fixture.at("after.shape")[0].item<double>(), 1e-9);
  EXPECT_NEAR(shape.max_over_std, fixture.at("after.shape")[1].item<double>(), 1e-9);
}

// By numpy, over 60 draws: 39.9, 14.7, 7.4, 0.39 dB with a deviation of 0.5 from draw to draw (0.1 at 2 bits); with 0.1 %
// of the weights four times as large 32.8, 7.7, 1.5, 0.03 with one of 1.4, as all hangs on the largest.
TEST(Quantize, GaussianWeightsHaveTheKnownSqnr) {
  constexpr int64_t kCount = 65'536, kDraws = 16;
  const std::vector<int64_t> bits{8, 4, 3, 2};
  std::vector<double> normal_mean(bits.size(), 0), tailed_mean(bits.size(), 0);
  for (uint64_t seed = 0; seed < kDraws; ++seed) {
    const auto weight = torch::randn({64, kCount / 64}, seeded(seed));
    auto tailed = weight.clone();
    tailed.view(-1).slice(0, 0, kCount / 1000) *= 4;
    for (size_t i = 0; i < bits.size(); ++i) {
      normal_mean[i] += sqnr(weight, bits[i], QuantizerGroup::layer, Clipping::max) / kDraws;
      tailed_mean[i] += sqnr(tailed, bits[i], QuantizerGroup::layer, Clipping::max) / kDraws;
    }
  }
  const std::vector<double> expected{40.1, 14.8, 7.1, 0.5}, tolerance{0.5, 0.5, 0.5, 0.2};
  const std::vector<double> with_tails{32.8, 7.7, 1.5, 0.03}, tailed_tolerance{1, 1, 0.6, 0.02};
  for (size_t i = 0; i < bits.size(); ++i) {
    EXPECT_NEAR(normal_mean[i], expected[i], tolerance[i]) << bits[i] << " bits";
    EXPECT_NEAR(tailed_mean[i], with_tails[i], tailed_tolerance[i]) << bits[i] << " bits, tails";
  }
}

// The negative control: dividing by the maximum cannot change what rounding does to a trained weight.
TEST_P(QuantizerCases, RescalingChangesNoSqnr) {
  const auto weight = random_weight(12).to(torch::kFloat);
  for (const int64_t bits : {8, 4, 2}) {
    for (const auto clipping : {Clipping::max, Clipping::mse}) {
      const auto before = sqnr(weight, bits, per(), clipping, geometry().output_dim());
      // Powers of two are exact; the maximum is what normalization divides by.
      for (const double factor : {0.125, 64.0}) {
        EXPECT_DOUBLE_EQ(sqnr(weight * factor, bits, per(), clipping, geometry().output_dim()), before);
      }
      const auto normalized = weight / weight.abs().max();
      EXPECT_NEAR(sqnr(normalized, bits, per(), clipping, geometry().output_dim()), before, 1e-4);
    }
  }
}

TEST_P(QuantizerCases, ClippingIsNeverWorseThanTheMaximum) {
  for (uint64_t seed = 40; seed < 60; ++seed) {
    const auto weight = random_weight(seed).pow(3).to(torch::kFloat);
    for (const int64_t bits : {8, 4, 3, 2}) {
      const auto dim = geometry().output_dim();
      EXPECT_GE(sqnr(weight, bits, per(), Clipping::mse, dim), sqnr(weight, bits, per(), Clipping::max, dim));
    }
  }
}

TEST(Quantize, RefusesOtherBits) {
  const auto weight = torch::ones({2, 2});
  EXPECT_THROW(quantize(weight, 1, QuantizerGroup::layer, Clipping::max, 0), c10::Error);
  EXPECT_THROW(quantize(weight, 9, QuantizerGroup::layer, Clipping::max, 0), c10::Error);
}

// ---- Activations ---------------------------------------------------------------------------------------------------

TEST(ActivationQuantizer, ClipsAndRoundsAndTrainsItsClip) {
  ActivationQuantizer quantizer(2, /*not_negative=*/true);
  auto clip = quantizer->parameters().at(0);
  {
    torch::NoGradGuard no_grad;
    clip.fill_(3);
  }
  const auto input = torch::tensor({-1.0, 0.4, 1.6, 2.9, 5.0}).requires_grad_(true);
  const auto output = quantizer->forward(input);
  EXPECT_TRUE(torch::equal(output, torch::tensor({0.0, 0.0, 2.0, 3.0, 3.0})));
  const auto gradients = grad({output}, {input, clip}, {torch::tensor({1.0, 2.0, 3.0, 4.0, 5.0})});
  EXPECT_TRUE(torch::equal(gradients[0], torch::tensor({0.0, 2.0, 3.0, 4.0, 0.0})));
  EXPECT_EQ(gradients[1].item<double>(), 5);
}

TEST(ActivationQuantizer, IsSymmetricWhereInputsAreNegativeToo) {
  ActivationQuantizer quantizer(3, /*not_negative=*/false);
  auto clip = quantizer->parameters().at(0);
  {
    torch::NoGradGuard no_grad;
    clip.fill_(3);
  }
  const auto input = torch::tensor({-5.0, -1.2, 0.2, 2.6}).requires_grad_(true);
  const auto output = quantizer->forward(input);
  EXPECT_TRUE(torch::equal(output, torch::tensor({-3.0, -1.0, 0.0, 3.0})));
  const auto gradients = grad({output}, {input, clip}, {torch::tensor({1.0, 2.0, 3.0, 4.0})});
  EXPECT_TRUE(torch::equal(gradients[0], torch::tensor({0.0, 2.0, 3.0, 4.0})));
  EXPECT_EQ(gradients[1].item<double>(), -1);
}

}  // namespace
}  // namespace sgan
