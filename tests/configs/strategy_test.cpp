#include "configs/strategy.h"

#include <gtest/gtest.h>

namespace sgan {
namespace {

Config bare_config() {
  Config config;
  config.discriminator.weight = WeightKind::none;
  return config;
}

TEST(StrategyName, NamesEveryPartInOrder) {
  auto config = bare_config();
  EXPECT_EQ(strategy_name(config), "none");
  config.discriminator.gradient_normalization = true;
  EXPECT_EQ(strategy_name(config), "gn");
  config.discriminator.weight = WeightKind::spectral;
  config.discriminator.norm = NormKind::scale_position;
  config.penalties = {{.kind = PenaltyKind::orthogonal}, {.kind = PenaltyKind::r1}};
  config.constraint.kind = ConstraintKind::clip;
  EXPECT_EQ(strategy_name(config), "spectral+scale_position+gn+orthogonal_penalty+r1+clip");
}

TEST(StrategyName, TellsTheSpectralPenaltyFromTheSpectralNorm) {
  auto config = bare_config();
  config.penalties = {{.kind = PenaltyKind::spectral}};
  EXPECT_EQ(strategy_name(config), "spectral_penalty");
  EXPECT_EQ(strategy_name(Config{}), "spectral");
}

}  // namespace
}  // namespace sgan
