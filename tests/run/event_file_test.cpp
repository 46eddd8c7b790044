#include "run/event_file.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <limits>

#include "run/atomic_file.h"
#include "run/run_folder.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::ElementsAre;
using std::string_literals::operator""s;

const std::string kPng = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\2\0\0\0\3\x08\x02\0\0\0"s;

// tests/fixtures/make_event_fixtures.py adds the same events with TensorBoard's own messages and writer.
TEST(EventFile, IsTensorboardsOwnByteForByte) {
  const TemporaryFolder folder;
  {
    EventFile file(folder / "events", 1000.5);
    file.restart(3, 1001);
    file.scalar("loss/D", 300, 1002.25, 0.5);
    file.image("samples/generated", 300, 1003, kPng);
    file.histogram("weights/D/conv0", 300, 1004,
                   {.min = 1, .max = 3, .sum = 7, .sum_squares = 15, .limits = {2, 3}, .counts = {3, 1}});
    file.text("config", 300, 1005, "# config");
    file.session_start({{"ema.warmup", true}, {"loss", "hinge"}, {"train.batch", 64.0}}, 1000.5);
    file.session_end(SessionEnd::success, 1100, 1100);
    file.columns({.begun = 1000.5,
                  .parameters = {{"(strategy)", "strategy", "", true},
                                 {"ema.warmup", "", true, false},
                                 {"loss", "", "hinge", false},
                                 {"train.batch", "", 64.0, true}},
                  .metrics = {"scores/fd", "loss/D"}});
  }
  const auto expected = read_file(std::filesystem::path(SGAN_SOURCE_DIR) / "tests/fixtures/events.tfevents");
  EXPECT_EQ(read_file(folder / "events"), expected);
}

TEST(EventFile, GoesOn) {
  const TemporaryFolder folder;
  {
    EventFile whole(folder / "whole", 1000.5);
    whole.scalar("loss/D", 1, 1001, 0.5);
    EventFile begun(folder / "parts", 1000.5);
  }
  EventFile::append_to(folder / "parts").scalar("loss/D", 1, 1001, 0.5);
  EXPECT_EQ(read_file(folder / "parts"), read_file(folder / "whole"));
  EXPECT_THROW(EventFile::append_to(folder / "none"), UserError);
}

TEST(HyperParameterColumns, AreThoseOfAllRuns) {
  const std::vector<HyperParameters> runs{{{"b", 1.0}, {"a", "x"}, {"same", true}, {"mixed", 2.0}},
                                          {{"b", 2.0}, {"a", "x"}, {"same", true}, {"mixed", "none"}},
                                          {{"b", 1.0}, {"a", "x"}, {"same", true}, {"mixed", 2.0}, {"new", 3.0}}};
  using Parameter = HyperParameterColumns::Parameter;
  EXPECT_THAT(parameters_of(runs), ElementsAre(Parameter{"a", "", "x", false}, Parameter{"b", "", 1.0, true},
                                               Parameter{"mixed", "", "", true}, Parameter{"new", "", 3.0, true},
                                               Parameter{"same", "", true, false}));
}

TEST(EventFile, ReplacesNothing) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "events", "mine");
  EXPECT_THROW(EventFile(folder / "events", 0), UserError);
  EXPECT_EQ(read_file(folder / "events"), "mine");
}

TEST(EventFile, TakesPngsAlone) {
  const TemporaryFolder folder;
  EventFile file(folder / "events", 0);
  EXPECT_THROW(file.image("samples", 1, 0, "GIF89a"), UserError);
}

TEST(PngSize, IsTheHeaders) {
  EXPECT_EQ(png_size(kPng), std::pair(int64_t{258}, int64_t{3}));
  EXPECT_EQ(png_size(kPng.substr(0, 20)), std::nullopt);
}

TEST(HistogramOf, CountsEveryFiniteValueOnce) {
  const std::array values{0.0, 1.0, 2.0, 3.0, 4.0, std::nan(""), std::numeric_limits<double>::infinity()};
  const auto histogram = histogram_of(values, 4);
  EXPECT_THAT(histogram.limits, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(histogram.counts, ElementsAre(2, 1, 1, 1));
  EXPECT_EQ(histogram.count(), 5);
  EXPECT_EQ(histogram.sum, 10);
  EXPECT_EQ(histogram.sum_squares, 30);
  EXPECT_EQ(histogram.min, 0);
  EXPECT_EQ(histogram.max, 4);
}

TEST(HistogramOf, OneValueIsOneBucket) {
  const std::array values{-0.5, -0.5};
  const auto histogram = histogram_of(values);
  EXPECT_THAT(histogram.limits, ElementsAre(-0.5));
  EXPECT_THAT(histogram.counts, ElementsAre(2));
}

TEST(HistogramOf, NothingFiniteIsEmpty) {
  EXPECT_EQ(histogram_of({}).count(), 0);
}

}  // namespace
}  // namespace sgan
