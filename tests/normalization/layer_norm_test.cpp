#include "normalization/layer_norm.h"

#include <gmock/gmock.h>

#include "configs/error.h"
#include "tests/normalization/small_norms.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;

torch::Tensor standardized(const torch::Tensor& values) {
  return (values - values.mean()) / (values.var(/*unbiased=*/false) + 1e-5).sqrt();
}

TEST(LayerNorm, StandardizesEachSample) {
  for (const auto& sample_shape : {kPoint, kImage}) {
    const auto norm = trained_norm(NormKind::layer, sample_shape);
    const auto state = state_of(*norm);
    const auto x = 3 * normal(batch_of(5, sample_shape), 1) + 1;
    const auto output = norm->forward(x, Mode::train);
    for (int64_t i = 0; i < x.size(0); ++i) {
      const auto one = standardized(x[i]).unsqueeze(0);
      const auto expected = one * per_channel(state.at("weight"), one) + per_channel(state.at("bias"), one);
      EXPECT_TRUE(close(output[i], expected[0], 1e-13));
    }
  }
}

TEST(PositionLayerNorm, StandardizesEachPositionOverItsChannels) {
  const auto norm = trained_norm(NormKind::layer_position, kImage);
  const auto state = state_of(*norm);
  const auto x = 3 * normal(batch_of(5, kImage), 1) + 1;
  const auto output = norm->forward(x, Mode::train);
  for (int64_t row = 0; row < kImage[1]; ++row) {
    for (int64_t column = 0; column < kImage[2]; ++column) {
      const auto expected = standardized(x[1].select(1, row).select(1, column)) * state.at("weight") + state.at("bias");
      EXPECT_TRUE(close(output[1].select(1, row).select(1, column), expected, 1e-13));
    }
  }
}

TEST(InstanceNorm, StandardizesEachChannelOfEachSample) {
  const auto norm = make_activation_norm(NormKind::instance, kImage);
  const auto x = 3 * normal(batch_of(5, kImage), 1) + 1;
  const auto output = norm->forward(x, Mode::train);
  for (int64_t i = 0; i < x.size(0); ++i) {
    for (int64_t channel = 0; channel < kChannels; ++channel) {
      EXPECT_TRUE(close(output[i][channel], standardized(x[i][channel]), 1e-13));
    }
  }
}

TEST(InstanceNorm, RefusesSamplesOfOnePosition) {
  for (const auto& sample_shape : {kPoint, Shape{kChannels, 1, 1}}) {
    EXPECT_THAT([&] { make_activation_norm(NormKind::instance, sample_shape); },
                testing::ThrowsMessage<UserError>(AllOf(HasSubstr("norm instance averages over the positions"),
                                                        HasSubstr("set norm to layer, rms or none"))));
  }
}

}  // namespace
}  // namespace sgan
