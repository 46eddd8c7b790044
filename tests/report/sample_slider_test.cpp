#include "report/sample_slider.h"

#include <gmock/gmock.h>

#include "tests/report/run_fixture.h"

namespace sgan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SampleSlider : public RunFixture {};

TEST_F(SampleSlider, FindsGridsByStep) {
  for (const char* name : {"step-00000200.png", "step-00000100.png", "step-x.png", "step-1.jpg", "reals.png"}) {
    write(std::string("samples/") + name, "png");
  }
  const auto grids = find_sample_grids(root / "samples");
  ASSERT_EQ(grids.size(), 2u);
  EXPECT_EQ(grids[0].step, 100);
  EXPECT_EQ(grids[1].path, root / "samples" / "step-00000200.png");
  EXPECT_THAT(find_sample_grids(root / "none"), IsEmpty());
}

TEST_F(SampleSlider, SelectsStepsEvenlyWithBothEnds) {
  SampleRun run{"a", {}, {}};
  for (int step = 0; step <= 10; ++step) run.grids.push_back({step * 10, root / "x"});
  EXPECT_THAT(slider_steps({run}, 3), ElementsAre(0, 50, 100));
  EXPECT_THAT(slider_steps({run}, 1), ElementsAre(100));
  EXPECT_EQ(slider_steps({run}, 11).size(), 11u);
  EXPECT_THAT(slider_steps({}, 5), IsEmpty());
}

TEST_F(SampleSlider, ShowsTheNewestGridThatIsNotNewer) {
  const SampleRun run{"a", {{100, root / "1"}, {200, root / "2"}, {300, root / "3"}}, {}};
  std::vector<int64_t> steps;
  for (const SampleGrid& grid : grids_at(run, {50, 150, 180, 300})) steps.push_back(grid.step);
  EXPECT_THAT(steps, ElementsAre(100, 300));
}

TEST_F(SampleSlider, CountsTheBytesItWouldEmbed) {
  write("1", "12345");
  write("2", "123");
  const SampleRun run{"a", {{1, root / "1"}, {2, root / "2"}, {3, root / "gone"}}, {}};
  EXPECT_EQ(bytes_at({run, run}, {1, 2, 3}), 16u);
  EXPECT_EQ(bytes_at({run}, {2}), 3u);
}

TEST_F(SampleSlider, OffersNoSliderForOneStep) {
  EXPECT_THAT(sample_slider({5}), IsEmpty());
  EXPECT_THAT(sample_slider({5, 9}), HasSubstr("max=\"1\""));
}

}  // namespace
}  // namespace sgan
