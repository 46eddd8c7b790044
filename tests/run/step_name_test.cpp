#include "run/step_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(StepName, ReadsWhatItWrites) {
  EXPECT_EQ(step_name(1000, ".png"), "step-00001000.png");
  const auto plain = parse_step_name(step_name(1000, ".png"), ".png");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->step, 1000);
  EXPECT_EQ(plain->rest, "");
  const auto more = parse_step_name("step-123456789-ema-seed0.json", ".json");
  ASSERT_TRUE(more.has_value());
  EXPECT_EQ(more->step, 123456789);
  EXPECT_EQ(more->rest, "-ema-seed0");
}

TEST(StepName, OtherNamesAreNone) {
  for (const char* name : {"", "step-", "step-.png", "step-x.png", "step--1.png", "step-1.jpg", "Step-1.png", ".png",
                           "step-99999999999999999999.png"}) {
    EXPECT_FALSE(parse_step_name(name, ".png").has_value()) << name;
  }
}

TEST(StepName, FilesComeByStep) {
  const TemporaryFolder folder;
  for (const char* name : {"step-10.png", "step-9.png", "step-1-a.png", "reals.png"}) std::ofstream(folder / name);
  EXPECT_THAT(files_by_step(folder.path(), ".png"),
              ElementsAre(Pair(9, folder / "step-9.png"), Pair(10, folder / "step-10.png")));
  EXPECT_THAT(files_by_step(folder / "none", ".png"), IsEmpty());
}

}  // namespace
}  // namespace sgan
