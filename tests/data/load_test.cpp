#include "data/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>

#include "configs/error.h"
#include "data/digits.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void expect_usage_error(const DataOptions& options, const testing::Matcher<std::string>& text) {
  try {
    load_dataset(options, 0, 1);
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.kind(), UserError::Kind::usage);
    EXPECT_THAT(error.what(), text);
  }
}

TEST(LoadDataset, CoversEveryKind) {
  TemporaryFolder folder;
  ASSERT_TRUE(cv::imwrite(folder.path() / "1.png", cv::Mat(8, 8, CV_8UC1, cv::Scalar(7))));
  for (const auto& [kind, name] : Names<DataKind>::table) {
    DataOptions options;
    options.kind = kind;
    if (kind == DataKind::folder) options.path = folder.path();
    if (kind == DataKind::grid) options.modes = 9;
    const Dataset dataset = load_dataset(options, 0, 1);
    EXPECT_GT(dataset.size(), 0) << name;
    EXPECT_EQ(dataset.planar(), is_planar(kind)) << name;
    EXPECT_THAT(dataset.description, HasSubstr(name));
    EXPECT_TRUE(dataset.labels.empty() || std::ssize(dataset.labels) == dataset.size()) << name;
  }
}

TEST(LoadDataset, PassesTheSeedToTheToys) {
  const DataOptions ring{.kind = DataKind::ring, .path = {}, .count = 10};
  EXPECT_TRUE(load_dataset(ring, 1, 1).samples.equal(load_dataset(ring, 1, 4).samples));
  EXPECT_FALSE(load_dataset(ring, 1, 1).samples.equal(load_dataset(ring, 2, 1).samples));
}

TEST(LoadDataset, DigitsComeInGreyAndRgb) {
  DataOptions options;
  options.size = 16;
  EXPECT_EQ(load_dataset(options, 0, 1).sample_shape(), (std::vector<int64_t>{1, 16, 16}));
  options.channels = 3;
  const Dataset rgb = load_dataset(options, 0, 1);
  EXPECT_EQ(rgb.sample_shape(), (std::vector<int64_t>{3, 16, 16}));
  EXPECT_TRUE(rgb.samples.select(1, 2).equal(load_digits(16).samples.select(1, 0)));
}

TEST(LoadDataset, RefusesOptionsWithoutEffect) {
  expect_usage_error({.kind = DataKind::digits, .path = "/images"},
                     AllOf(HasSubstr("data.path"), HasSubstr("digits"), HasSubstr("size, channels, flip")));
  expect_usage_error({.kind = DataKind::ring, .path = {}, .flip = true}, HasSubstr("data.flip"));
  expect_usage_error({.kind = DataKind::ring, .path = {}, .size = 32}, HasSubstr("data.size"));
  expect_usage_error({.kind = DataKind::swiss_roll, .path = {}, .modes = 9}, HasSubstr("data.modes"));
  expect_usage_error({.kind = DataKind::folder, .path = "/images", .count = 9}, HasSubstr("data.count"));
  expect_usage_error({.kind = DataKind::folder, .path = "/images", .std = 0.1}, HasSubstr("data.std"));
  expect_usage_error({.kind = DataKind::digits, .path = {}, .on_error = OnError::skip}, HasSubstr("data.on_error"));
}

TEST(LoadDataset, RefusesOtherChannelCounts) {
  expect_usage_error({.kind = DataKind::digits, .path = {}, .channels = 2}, HasSubstr("data.channels is 2"));
}

}  // namespace
}  // namespace sgan
