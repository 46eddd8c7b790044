#include "configs/advice.h"

#include <gmock/gmock.h>

namespace sgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Advice, SaysNothingOfTheDefaults) {
  EXPECT_THAT(advice(Config{}), IsEmpty());
}

TEST(Advice, WarnsOfMomentumWithClipping) {
  Config config;
  config.constraint.kind = ConstraintKind::clip;
  config.optimizer.discriminator = {.kind = OptimizerKind::sgd, .momentum = 0.9};
  EXPECT_THAT(advice(config), ElementsAre(HasSubstr("momentum")));
  config.optimizer.discriminator.momentum = 0;
  EXPECT_THAT(advice(config), IsEmpty());
}

TEST(Advice, WarnsOfAWassersteinCriticWithTheWrongBoundOrNone) {
  Config config;
  config.loss = LossKind::wgan;
  EXPECT_THAT(advice(config), ElementsAre(HasSubstr("spectral normalization")));
  config.discriminator.weight = WeightKind::none;
  EXPECT_THAT(advice(config), ElementsAre(HasSubstr("without limit")));
  config.penalties = {{.kind = PenaltyKind::gp}};
  EXPECT_THAT(advice(config), IsEmpty());
}

TEST(Advice, TakesGradientNormalizationForABound) {
  Config config;
  config.loss = LossKind::wgan;
  config.discriminator.weight = WeightKind::none;
  config.discriminator.gradient_normalization = true;
  EXPECT_THAT(advice(config), IsEmpty());
}

TEST(Advice, WarnsOfWhatLooksLikeAConstraintAndIsNone) {
  Config config;
  config.loss = LossKind::wgan;
  config.discriminator.weight = WeightKind::weight_norm;
  EXPECT_THAT(advice(config), ElementsAre(HasSubstr("no Lipschitz constraint")));
  config.loss = LossKind::hinge;
  config.discriminator.weight = WeightKind::spectral;
  config.penalties = {{.kind = PenaltyKind::spectral, .weight = 0.01}};
  EXPECT_THAT(advice(config), ElementsAre(HasSubstr("the penalty is constant")));
}

TEST(Advice, WarnsOfWeightPenaltiesAsHeavyAsGradientPenalties) {
  Config config;
  config.discriminator.weight = WeightKind::none;
  config.penalties = {{.kind = PenaltyKind::spectral}, {.kind = PenaltyKind::orthogonal}, {.kind = PenaltyKind::gp}};
  EXPECT_THAT(advice(config), ElementsAre(HasSubstr("penalties has spectral with weight 10"),
                                          HasSubstr("penalties has orthogonal with weight 10")));
  config.penalties = {{.kind = PenaltyKind::spectral, .weight = 0.01},
                      {.kind = PenaltyKind::orthogonal, .weight = 1e-4}};
  EXPECT_THAT(advice(config), IsEmpty());
}

}  // namespace
}  // namespace sgan
