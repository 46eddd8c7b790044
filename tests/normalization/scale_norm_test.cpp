#include "normalization/scale_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/normalization/small_norms.h"

namespace sgan {
namespace {

constexpr NormKind kScaleNorms[] = {NormKind::scale_sample, NormKind::scale_position};

// ‖x‖ of each vector that the kind takes: (N) or (N, H, W).
torch::Tensor lengths(NormKind kind, const torch::Tensor& x) {
  return kind == NormKind::scale_sample ? x.flatten(1).norm(2, 1) : x.norm(2, 1);
}

TEST(ScaleNorm, OutputNormIsTheGain) {
  for (const auto kind : kScaleNorms) {
    for (const auto& sample_shape : {kPoint, kImage}) {
      const auto norm = trained_norm(kind, sample_shape);
      const auto output = norm->forward(normal(batch_of(5, sample_shape), 1), Mode::train);
      const auto norms = lengths(kind, output);
      EXPECT_TRUE(close(norms, torch::full_like(norms, 1.75), 1e-14)) << name_of(kind);  // g is -1.75
    }
  }
}

TEST(ScaleNorm, HasOneParameterAndStartsAtTheRootOfTheLength) {
  const auto initial = [](NormKind kind, const Shape& sample_shape) {
    const auto state = state_of(*make_activation_norm(kind, sample_shape));
    EXPECT_EQ(state.size(), 1U);
    EXPECT_EQ(state.at("weight").numel(), 1);
    return state.at("weight").item<double>();
  };
  EXPECT_FLOAT_EQ(initial(NormKind::scale_position, kImage), std::sqrt(3.0));
  EXPECT_FLOAT_EQ(initial(NormKind::scale_sample, kImage), std::sqrt(24.0));
  EXPECT_FLOAT_EQ(initial(NormKind::scale_sample, kPoint), std::sqrt(3.0));
}

// g · x / 1e-5 below that length.
TEST(ScaleNorm, IsLinearNearZero) {
  for (const auto kind : kScaleNorms) {
    const auto norm = trained_norm(kind, kImage);
    const auto x = 1e-7 * normal(batch_of(5, kImage), 1);
    EXPECT_TRUE(close(norm->forward(x, Mode::train), -1.75 * x / 1e-5, 1e-14));
    EXPECT_TRUE(torch::equal(norm->forward(0 * x, Mode::train), torch::zeros_like(x)));
  }
}

TEST(ScaleAndRmsNorm, AreScaleInvariantAndShiftSensitive) {
  for (const auto kind : {NormKind::scale_sample, NormKind::scale_position, NormKind::rms}) {
    const auto norm = trained_norm(kind, kImage);
    const auto x = 10 * normal(batch_of(5, kImage), 1);
    const auto output = norm->forward(x, Mode::train);
    EXPECT_TRUE(close(norm->forward(7 * x, Mode::train), output, 1e-6)) << name_of(kind);
    EXPECT_FALSE(close(norm->forward(x + 10, Mode::train), output, 0.1)) << name_of(kind);
  }
}

TEST(ScaleNorm, AtTheRootOfTheLengthIsRmsNormWithUnitGainsAsEpsilonVanishes) {
  for (const auto& sample_shape : {kPoint, kImage}) {
    const auto fresh = [&](NormKind kind) {
      auto norm = make_activation_norm(kind, sample_shape);
      norm->to(torch::kDouble);
      norm->initialize();  // √d in float64
      return norm;
    };
    const auto x = normal(batch_of(5, sample_shape), 1);
    // Large inputs make ε vanish.
    for (const auto& [factor, tolerance] : {std::pair{1e1, 1e-6}, {1e3, 1e-10}, {1e5, 1e-14}}) {
      EXPECT_TRUE(close(fresh(NormKind::scale_sample)->forward(factor * x, Mode::train),
                        fresh(NormKind::rms)->forward(factor * x, Mode::train), tolerance))
          << factor;
    }
  }
}

TEST(RmsNorm, DividesEachSampleByItsRootMeanSquare) {
  for (const auto& sample_shape : {kPoint, kImage}) {
    const auto norm = trained_norm(NormKind::rms, sample_shape);
    const auto gain = state_of(*norm).at("weight");
    const auto x = 0.01 * normal(batch_of(5, sample_shape), 1);  // where ε counts
    const auto output = norm->forward(x, Mode::train);
    for (int64_t i = 0; i < x.size(0); ++i) {
      for (int64_t channel = 0; channel < kChannels; ++channel) {
        const auto expected = x[i][channel] / (x[i].square().mean() + 1e-5).sqrt() * gain[channel];
        EXPECT_TRUE(close(output[i][channel], expected, 1e-14));
      }
    }
  }
}

}  // namespace
}  // namespace sgan
