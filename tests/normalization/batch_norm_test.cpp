#include "normalization/batch_norm.h"

#include <gtest/gtest.h>

#include "tests/normalization/small_norms.h"

namespace sgan {
namespace {

torch::Tensor rows_of(const torch::Tensor& x) {
  return x.transpose(0, 1).flatten(1);
}

TEST(BatchNorm, IsBiasedInTheOutputAndUnbiasedInTheRunningVariance) {
  for (const auto& sample_shape : {kPoint, kImage}) {
    const auto norm = trained_norm(NormKind::batch, sample_shape);
    const auto state = state_of(*norm);
    const auto gain = state.at("weight");
    const auto bias = state.at("bias");
    const auto x = 3 * normal(batch_of(5, sample_shape), 3) + 1;
    const auto normalized = [&](const torch::Tensor& mean, const torch::Tensor& variance) {
      return (x - per_channel(mean, x)) / per_channel((variance + 1e-5).sqrt(), x) * per_channel(gain, x) +
             per_channel(bias, x);
    };
    const auto mean = rows_of(x).mean(1);
    EXPECT_TRUE(close(norm->forward(x, Mode::train), normalized(mean, rows_of(x).var(1, /*unbiased=*/false)), 1e-13));
    EXPECT_TRUE(close(state.at("running_mean"), 0.1 * mean, 1e-14));
    EXPECT_TRUE(close(state.at("running_var"), 0.9 + 0.1 * rows_of(x).var(1, /*unbiased=*/true), 1e-14));
    EXPECT_EQ(state.at("num_batches_tracked").item<int64_t>(), 1);
    EXPECT_TRUE(
        close(norm->forward(x, Mode::eval), normalized(state.at("running_mean"), state.at("running_var")), 1e-13));
  }
}

TEST(MeanOnlyBatchNorm, SubtractsTheBatchsMeanAndInEvalTheRunningOne) {
  for (const auto& sample_shape : {kPoint, kImage}) {
    const auto norm = trained_norm(NormKind::mean_only_batch, sample_shape);
    const auto state = state_of(*norm);
    auto running = torch::zeros({kChannels}, torch::kDouble);
    for (const uint64_t seed : {1, 2}) {
      const auto x = 3 * normal(batch_of(5, sample_shape), seed) + 1;
      const auto mean = rows_of(x).mean(1);
      const auto output = norm->forward(x, Mode::train);
      EXPECT_TRUE(close(output, x - per_channel(mean, x) + per_channel(state.at("bias"), x), 1e-14));
      EXPECT_TRUE(close(rows_of(output).mean(1), state.at("bias"), 1e-14));
      running = 0.9 * running + 0.1 * mean;
      EXPECT_TRUE(close(state.at("running_mean"), running, 1e-14));
      EXPECT_TRUE(
          close(norm->forward(x, Mode::eval), x - per_channel(running, x) + per_channel(state.at("bias"), x), 1e-14));
    }
    EXPECT_EQ(state.size(), 2U);
  }
}

}  // namespace
}  // namespace sgan
