#include <gmock/gmock.h>

#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Sample : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto outcome = run_program({"train", preset("digits/spectral.yaml"), "threads=1", "train.steps=4",
                                      "sample.every=2", "sample.count=9", "--out", run_});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }

  TemporaryFolder folder_;
  std::filesystem::path run_ = folder_ / "run";
};

TEST_F(Sample, FromTheCheckpointAloneEqualsTheTrainingGrid) {
  const auto alone = folder_ / "alone.safetensors";
  std::filesystem::rename(run_ / "checkpoints" / "step-00000004.safetensors", alone);
  const auto grid = bytes_of(run_ / "samples" / "step-00000004.png");
  std::filesystem::remove_all(run_);
  const auto outcome = run_program({"sample", alone, "--out", folder_ / "grid.png"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(bytes_of(folder_ / "grid.png") == grid);
}

TEST_F(Sample, RawWeightsAreOthersThanAveragedOnes) {
  ASSERT_EQ(run_program({"sample", run_, "--weights", "raw", "--out", folder_ / "raw.png"}).exit_code, 0);
  ASSERT_EQ(run_program({"sample", run_, "--weights", "ema", "--out", folder_ / "ema.png"}).exit_code, 0);
  EXPECT_FALSE(bytes_of(folder_ / "raw.png") == bytes_of(folder_ / "ema.png"));
}

TEST_F(Sample, OneFilePerSeedWhateverItsCompany) {
  ASSERT_EQ(run_program({"sample", run_, "--seeds", "0-2,7", "--out", folder_ / "some"}).exit_code, 0);
  ASSERT_EQ(run_program({"sample", run_, "--seeds", "7", "--out", folder_ / "one"}).exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "some" / "seed-00002.png"));
  EXPECT_TRUE(bytes_of(folder_ / "some" / "seed-00007.png") == bytes_of(folder_ / "one" / "seed-00007.png"));
}

TEST_F(Sample, InterpolatesAndAnimates) {
  const auto walk =
      run_program({"sample", run_, "--interpolate", "1", "2", "--frames", "5", "--out", folder_ / "w.webp"});
  ASSERT_EQ(walk.exit_code, 0) << walk.err;
  EXPECT_THAT(bytes_of(folder_ / "w.webp"), StartsWith("RIFF"));
  const auto row = run_program({"sample", run_, "--interpolate", "1", "2", "--out", folder_ / "row.png"});
  ASSERT_EQ(row.exit_code, 0) << row.err;
  const auto timeline = run_program({"sample", run_, "--timeline"});
  ASSERT_EQ(timeline.exit_code, 0) << timeline.err;
  const auto animation = bytes_of(timeline.last_line());
  EXPECT_THAT(animation.substr(8, 4), "WEBP");
  // One ANMF chunk a frame: the grids of steps 0, 2 and 4.
  size_t frames = 0;
  for (size_t at = animation.find("ANMF"); at != std::string::npos; at = animation.find("ANMF", at + 1)) ++frames;
  EXPECT_EQ(frames, 3U);
}

TEST_F(Sample, SaysWhatItCannotDraw) {
  EXPECT_THAT(run_program({"sample", run_, "--step", "3"}).err, HasSubstr("there are: 4"));
  EXPECT_THAT(run_program({"sample", run_, "--out", "x.gif"}).err, HasSubstr("FILE.png"));
  EXPECT_THAT(run_program({"sample", run_, "--seeds", "5-2"}).err, HasSubstr("upwards"));
}

}  // namespace
}  // namespace sgan
