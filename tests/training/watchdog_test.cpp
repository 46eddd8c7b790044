#include "training/watchdog.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include <cmath>

#include "tests/training/small_run.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::string kOneImage = "the generated images are nearly one image";

Watchdog::Look healthy(int64_t step) {
  return {.step = step,
          .loss_d = 1.3,
          .critic = {.margin = 1.5, .spread = 0.9, .slope = 0.2},
          .collapse = {},
          .diversity = {}};
}

Config config_of(LossKind loss) {
  Config config;
  config.loss = loss;
  config.train.steps = 20'000;
  return config;
}

struct Case {
  Trouble trouble;
  LossKind loss;
  std::function<void(Watchdog::Look&)> happen;
  std::string says;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << trouble_name(c.trouble) << " under " << name_of(c.loss);
}

const Case kCases[] = {
    {Trouble::collapsed, LossKind::wgan, [](auto& look) { look.collapse = kOneImage; }, kOneImage},
    {Trouble::saturated, LossKind::hinge, [](auto& look) { look.loss_d = 0.0099; }, "its loss is 0.0099"},
    {Trouble::saturated, LossKind::ns, [](auto& look) { look.loss_d = 0.0068; }, "tells all samples apart"},
    {Trouble::saturated, LossKind::lsgan, [](auto& look) { look.loss_d = 0.0012; }, "0.48 %"},
    {Trouble::saturated, LossKind::relativistic, [](auto& look) { look.loss_d = 0.0034; }, "its loss is 0.0034"},
    {Trouble::steep, LossKind::wgan, [](auto& look) { look.critic.slope = 101; }, "rises by 101"},
    {Trouble::dead, LossKind::hinge, [](auto& look) { look.critic.spread = 9e-6; }, "standard deviation is 9e-06"},
};

class WatchdogSees : public testing::TestWithParam<Case> {};

TEST_P(WatchdogSees, TroubleThatStaysAndTellsItOnce) {
  const auto& c = GetParam();
  Watchdog watchdog(config_of(c.loss));
  const auto look = [&](int64_t step, bool bad) {
    auto seen = healthy(step);
    if (bad) c.happen(seen);
    return watchdog.see(seen);
  };
  EXPECT_THAT(look(100, false), IsEmpty());
  EXPECT_THAT(look(200, true), IsEmpty());
  EXPECT_THAT(look(300, true), IsEmpty());
  EXPECT_THAT(look(400, false), IsEmpty());  // passed by itself
  EXPECT_THAT(look(500, true), IsEmpty());
  EXPECT_THAT(look(600, true), IsEmpty());
  EXPECT_THAT(watchdog.active(), IsEmpty());
  const auto alarms = look(700, true);
  ASSERT_THAT(alarms, SizeIs(1));
  EXPECT_EQ(alarms[0].trouble, c.trouble);
  EXPECT_EQ(alarms[0].step, 700);
  EXPECT_THAT(alarms[0].text, HasSubstr(c.says));
  EXPECT_THAT(look(800, true), IsEmpty());
  EXPECT_THAT(watchdog.active(), ElementsAre(trouble_name(c.trouble)));
  EXPECT_THAT(look(900, false), IsEmpty());
  EXPECT_THAT(watchdog.active(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Troubles, WatchdogSees, testing::ValuesIn(kCases));

TEST(Watchdog, AWassersteinLossMayBeSmall) {
  Watchdog watchdog(config_of(LossKind::wgan));
  for (int64_t step = 100; step <= 1000; step += 100) {
    auto look = healthy(step);
    look.loss_d = -3;
    EXPECT_THAT(watchdog.see(look), IsEmpty());
  }
}

// What is no number is divergence, and another's to tell.
TEST(Watchdog, TellsNothingOfWhatIsNoNumber) {
  Watchdog watchdog(config_of(LossKind::hinge));
  for (int64_t step = 100; step <= 1000; step += 100) {
    auto look = healthy(step);
    look.loss_d = look.critic.margin = look.critic.spread = look.critic.slope = std::nan("");
    EXPECT_THAT(watchdog.see(look), IsEmpty());
  }
}

// An untrained generator makes one image; that is no collapse, unless it goes on.
TEST(Watchdog, GivesAGeneratorTimeToVary) {
  Watchdog watchdog(config_of(LossKind::hinge));  // of 20,000 steps: 2,000
  for (int64_t step = 100; step <= 2200; step += 100) {
    auto look = healthy(step);
    look.collapse = kOneImage;
    EXPECT_THAT(watchdog.see(look), IsEmpty()) << step;
  }
  auto look = healthy(2300);
  look.collapse = kOneImage;
  EXPECT_THAT(watchdog.see(look), SizeIs(1));
}

// A generator whose samples are more alike than before its first step is none that begins.
TEST(Watchdog, KnowsACollapseFromAnUntrainedGenerator) {
  const auto alarms_of = [](double diversity) {
    Watchdog watchdog(config_of(LossKind::hinge), /*untrained=*/0.005);
    std::vector<Alarm> alarms;
    for (int64_t step = 40; step <= 160; step += 40) {
      auto look = healthy(step);
      look.collapse = kOneImage;
      look.diversity = diversity;
      for (auto& alarm : watchdog.see(look)) alarms.push_back(alarm);
    }
    return alarms;
  };
  EXPECT_THAT(alarms_of(0.0006), IsEmpty());
  const auto alarms = alarms_of(0.0004);
  ASSERT_THAT(alarms, SizeIs(1));
  EXPECT_EQ(alarms[0].trouble, Trouble::collapsed);
  EXPECT_EQ(alarms[0].step, 120);
}

// Frequent looks see a generator that makes one image for some dozen steps and then many.
TEST(Watchdog, ACollapseLasts) {
  Watchdog watchdog(config_of(LossKind::hinge), /*untrained=*/0.9);
  const auto alarms_at = [&](int64_t step) {
    auto look = healthy(step);
    look.collapse = kOneImage;
    look.diversity = 0.02;
    return watchdog.see(look);
  };
  for (int64_t step = 2; step <= 50; step += 2) EXPECT_THAT(alarms_at(step), IsEmpty()) << step;
  EXPECT_THAT(alarms_at(52), SizeIs(1));
}

TEST(Survey, HasTheCriticsOwnNumbers) {
  auto config = planar_config();
  config.discriminator.depth = 1;
  config.discriminator.channels = 2;
  auto state = fresh_state(config);
  torch::manual_seed(1);
  const auto real = torch::randn({50, 2}), fake = torch::randn({50, 2}) + 2;
  torch::NoGradGuard no_grad;
  const auto critic = [&](const torch::Tensor& x) { return state.discriminator->forward(x, Mode::eval); };
  const auto survey = survey_critic(*state.discriminator, false, real, fake);
  const auto margin = (critic(real).mean() - critic(fake).mean()).item<double>();
  EXPECT_NEAR(survey.margin, margin, 1e-6);
  EXPECT_NEAR(survey.spread, torch::cat({critic(real), critic(fake)}).std(false).item<double>(), 1e-6);
  EXPECT_NEAR(survey.slope, std::abs(margin) / (real - fake).norm(2, 1).mean().item<double>(), 1e-6);
}

TEST(Survey, MovesNothing) {
  auto config = planar_config();
  config.discriminator.weight = WeightKind::spectral;
  const auto state = trained_state(config);
  Tensors before;
  for (const auto& [name, tensor] : tensors_of(state)) before[name] = tensor.clone();
  survey_critic(*state.discriminator, false, torch::randn({6, 2}), torch::randn({6, 2}));
  survey_critic(*state.discriminator, true, torch::randn({6, 2}), torch::randn({6, 2}));
  EXPECT_TRUE(equal(tensors_of(state), before));
}

}  // namespace
}  // namespace sgan
