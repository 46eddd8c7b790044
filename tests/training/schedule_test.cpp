#include "training/schedule.h"

#include <gtest/gtest.h>

namespace sgan {
namespace {

TEST(Schedule, ConstantStaysAtOne) {
  Config config;
  config.schedule = {.kind = ScheduleKind::constant, .start = 10};
  for (const int64_t step : {0, 5000, 9999}) EXPECT_EQ(learning_rate_factor(config, step), 1) << step;
}

TEST(Schedule, LinearFallsFromStartToTheEnd) {
  Config config;
  config.train.steps = 100;
  config.schedule = {.kind = ScheduleKind::linear, .start = 20};
  EXPECT_DOUBLE_EQ(learning_rate_factor(config, 0), 1);
  EXPECT_DOUBLE_EQ(learning_rate_factor(config, 20), 1);
  EXPECT_DOUBLE_EQ(learning_rate_factor(config, 40), 0.75);
  EXPECT_NEAR(learning_rate_factor(config, 99), 1.0 / 80, 1e-15);
  EXPECT_DOUBLE_EQ(learning_rate_factor(config, 100), 0);
  EXPECT_DOUBLE_EQ(learning_rate_factor(config, 1000), 0);
}

TEST(Schedule, CriticStepsAreBoostedEarlyAndNowAndThen) {
  TrainOptions train{.critic_steps = 5, .boost = {.critic_steps = 100, .first = 25, .every = 500}};
  EXPECT_EQ(critic_steps(train, 0), 100);
  EXPECT_EQ(critic_steps(train, 24), 100);
  EXPECT_EQ(critic_steps(train, 25), 5);
  EXPECT_EQ(critic_steps(train, 499), 5);
  EXPECT_EQ(critic_steps(train, 500), 100);
  EXPECT_EQ(critic_steps(train, 501), 5);
  train.boost.every = 0;
  EXPECT_EQ(critic_steps(train, 500), 5);
  train.boost.critic_steps = 0;
  EXPECT_EQ(critic_steps(train, 0), 5);
}

TEST(Schedule, DueCountsFromOneAndZeroIsNever) {
  EXPECT_FALSE(is_due(99, 100));
  EXPECT_TRUE(is_due(100, 100));
  EXPECT_TRUE(is_due(200, 100));
  EXPECT_TRUE(is_due(7, 1));
  EXPECT_FALSE(is_due(100, 0));
}

}  // namespace
}  // namespace sgan
