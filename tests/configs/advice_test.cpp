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

}  // namespace
}  // namespace sgan
