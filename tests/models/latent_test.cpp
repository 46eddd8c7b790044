#include "models/latent.h"

#include <gtest/gtest.h>

#include "run/random_streams.h"

namespace sgan {
namespace {

torch::Tensor draw(Prior prior) {
  return draw_latents({.latent = 4, .prior = prior}, 50'000, make_generator(3, torch::kCPU), torch::kCPU);
}

TEST(Latent, NormalPriorHasMeanZeroAndVarianceOne) {
  const auto latents = draw(Prior::normal);
  EXPECT_EQ(latents.sizes(), torch::IntArrayRef({50'000, 4}));
  EXPECT_NEAR(latents.mean().item<double>(), 0, 0.01);
  EXPECT_NEAR(latents.std().item<double>(), 1, 0.01);
  EXPECT_GT(latents.max().item<double>(), 3);
}

TEST(Latent, UniformPriorFillsTheCube) {
  const auto latents = draw(Prior::uniform);
  EXPECT_NEAR(latents.mean().item<double>(), 0, 0.01);
  EXPECT_NEAR(latents.std().item<double>(), std::sqrt(1.0 / 3), 0.01);
  EXPECT_LT(latents.abs().max().item<double>(), 1.0 + 1e-6);
  EXPECT_GT(latents.abs().max().item<double>(), 0.999);
}

TEST(Latent, EqualGeneratorsGiveEqualLatents) {
  EXPECT_TRUE(torch::equal(draw(Prior::uniform), draw(Prior::uniform)));
}

}  // namespace
}  // namespace sgan
