#include "training/precision.h"

#include <ATen/Context.h>
#include <gmock/gmock.h>

#include "configs/error.h"
#include "run/random_streams.h"
#include "tests/training/small_run.h"
#include "training/step.h"

namespace sgan {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Precision, SetsWhatLibTorchMayDoWithFloat32) {
  set_precision(Precision::bf16, torch::kCPU);
  EXPECT_TRUE(at::globalContext().allowTF32CuBLAS());
  EXPECT_TRUE(at::globalContext().allowTF32CuDNN());
  set_precision(Precision::fp32, torch::kCPU);
  EXPECT_FALSE(at::globalContext().allowTF32CuBLAS());
  EXPECT_FALSE(at::globalContext().allowTF32CuDNN());
}

TEST(Precision, Tf32NeedsAGpu) {
  EXPECT_THAT([] { set_precision(Precision::tf32, torch::kCPU); },
              ThrowsMessage<UserError>(HasSubstr("precision is tf32, a number format of NVIDIA GPUs")));
  EXPECT_NO_THROW(set_precision(Precision::tf32, torch::Device(torch::kCUDA, 0)));
  set_precision(Precision::fp32, torch::kCPU);
}

TEST(Precision, AutocastTouchesProductsAloneAndEnds) {
  const auto matrix = torch::ones({4, 4});
  {
    const AutocastScope outer(Precision::bf16, torch::kCPU);
    EXPECT_EQ(torch::mm(matrix, matrix).scalar_type(), torch::kBFloat16);
    EXPECT_EQ(torch::softplus(matrix).scalar_type(), torch::kFloat32);
    { const AutocastScope inner(Precision::bf16, torch::kCPU); }
    EXPECT_EQ(torch::mm(matrix, matrix).scalar_type(), torch::kBFloat16);
  }
  EXPECT_EQ(torch::mm(matrix, matrix).scalar_type(), torch::kFloat32);
  const AutocastScope none(Precision::fp32, torch::kCPU);
  EXPECT_EQ(torch::mm(matrix, matrix).scalar_type(), torch::kFloat32);
}

// Losses near those of float32, computed in float32, with every parameter and power-iteration vector still float32.
TEST(Precision, Bf16TrainsWithFloat32Losses) {
  auto config = digits_config();
  config.discriminator.weight = WeightKind::spectral;
  config.penalties = {{.kind = PenaltyKind::gp, .weight = 10}};
  const auto data = dataset_of(config);
  const auto latent = torch::randn({6, 3}, make_generator(1, torch::kCPU));
  const auto epsilon = torch::rand({6, 1, 1, 1}, make_generator(2, torch::kCPU));
  const auto real = deliver(data, torch::arange(6), {}, torch::kCPU);
  std::vector<std::vector<double>> losses;
  for (const auto precision : {Precision::fp32, Precision::bf16}) {
    config.precision = precision;
    auto state = fresh_state(config);
    AdversarialStep step(state, config);
    const auto d = step.update_discriminator({real, latent, {epsilon}}, 1.0, true);
    const auto g = step.update_generator(latent, real, 1.0, true);
    for (const auto& value : {d.loss, d.penalty, g.loss, d.grad_norm, g.grad_norm}) {
      EXPECT_EQ(value.scalar_type(), torch::kFloat32);
    }
    losses.push_back({d.loss.item<double>(), d.penalty.item<double>(), g.loss.item<double>()});
    for (const auto& [name, tensor] : named_tensors(state)) {
      EXPECT_NE(tensor.scalar_type(), torch::kBFloat16) << name;
    }
  }
  for (size_t i = 0; i < losses[0].size(); ++i) {
    EXPECT_NEAR(losses[1][i], losses[0][i], 0.02 * std::max(1.0, std::abs(losses[0][i]))) << i;
    const bool penalty = i == 1;  // which may come out the same
    if (!penalty) {
      EXPECT_NE(losses[1][i], losses[0][i]) << i;
    }
  }
}

// Vectors and weights come out bit for bit as in float32, even where the caller forgot that autocast is on.
TEST(Precision, SpectralNormsAreFloat32WithinAutocast) {
  for (const auto& [weight, weight_name] : Names<WeightKind>::table) {
    auto config = digits_config();
    config.discriminator.weight = weight;
    config.spectral.warmup = 0;
    const auto advance = [&](Precision precision) {
      auto state = fresh_state(config);
      const AutocastScope autocast(precision, torch::kCPU);
      state.discriminator->advance_parametrizations();
      auto tensors = copy_of(state_of(*state.discriminator));
      const auto weights = state.discriminator->frozen_weights();
      for (const auto& [name, layer] : state.discriminator->layers()) {
        tensors[name + ".used"] = weights.of(*layer).clone();
      }
      return tensors;
    };
    const auto exact = advance(Precision::fp32);
    for (const auto& [name, tensor] : advance(Precision::bf16)) {
      EXPECT_TRUE(torch::equal(tensor, exact.at(name))) << weight_name << " " << name;
    }
  }
}

// What a penalty differentiates is not rounded to bfloat16: the first update's penalty is the one of float32, of the
// fakes that bfloat16 made.
TEST(Precision, PenaltiesAreNotRoundedToBfloat16) {
  auto config = digits_config();
  config.penalties = {{.kind = PenaltyKind::r1, .weight = 1}};
  const auto real = deliver(dataset_of(config), torch::arange(6), {}, torch::kCPU);
  const auto latent = torch::randn({6, 3}, make_generator(1, torch::kCPU));
  std::vector<double> penalties;
  for (const auto precision : {Precision::fp32, Precision::bf16}) {
    config.precision = precision;
    auto state = fresh_state(config);
    AdversarialStep step(state, config);
    penalties.push_back(step.update_discriminator({real, latent, {{}}}, 1.0, false).penalty.item<double>());
  }
  EXPECT_EQ(penalties[1], penalties[0]);  // r1 reads the real images alone
}

TEST(Precision, CriticsNumberKeepsAllItsDigits) {
  auto config = digits_config();
  auto state = fresh_state(config);
  const auto real = deliver(dataset_of(config), torch::arange(6), {}, torch::kCPU);
  const AutocastScope autocast(Precision::bf16, torch::kCPU);
  const auto judged = state.discriminator->forward(real, Mode::eval);
  EXPECT_EQ(judged.scalar_type(), torch::kFloat32);
  EXPECT_FALSE(torch::equal(judged, judged.to(torch::kBFloat16).to(torch::kFloat32)));
}

}  // namespace
}  // namespace sgan
