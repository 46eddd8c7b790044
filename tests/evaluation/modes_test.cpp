#include "evaluation/modes.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>
#include <torch/types.h>

#include "data/toys.h"

namespace sgan {
namespace {

const torch::Tensor kCentres = torch::tensor({{0.0, 0.0}, {10.0, 0.0}, {0.0, 10.0}}, torch::kFloat64);

TEST(ModeCoverage, CountsWhatLiesWithinThreeStandardDeviations) {
  const torch::Tensor points = torch::tensor({{2.9F, 0.0F}, {0.0F, -3.1F}, {8.0F, 2.0F}, {10.0F, 0.0F}});
  const ModeCoverage coverage = mode_coverage(points, kCentres, 1.0);
  EXPECT_EQ(coverage.modes, 3);
  EXPECT_EQ(coverage.covered, 2);  // nothing is near (0, 10)
  EXPECT_DOUBLE_EQ(coverage.high_quality, 0.75);
}

TEST(ModeCoverage, ASampleOfLowQualityCoversNoMode) {
  const ModeCoverage coverage = mode_coverage(torch::tensor({{0.0F, 6.0F}, {0.5F, 0.0F}}), kCentres, 1.0);
  EXPECT_EQ(coverage.covered, 1);
  EXPECT_DOUBLE_EQ(coverage.high_quality, 0.5);
}

TEST(ModeCoverage, ASampleCoversOnlyItsNearestMode) {
  const ModeCoverage coverage = mode_coverage(torch::tensor({{4.0F, 0.0F}}), kCentres, 5.0);
  EXPECT_EQ(coverage.covered, 1);
}

TEST(ModeCoverage, PointsThatAreNotFiniteAreOfLowQuality) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const ModeCoverage coverage = mode_coverage(torch::tensor({{nan, 0.0F}, {infinity, infinity}}), kCentres, 1.0);
  EXPECT_EQ(coverage.covered, 0);
  EXPECT_EQ(coverage.high_quality, 0.0);
}

TEST(ModeCoverage, PointsOfTheMixtureItselfCoverAll) {
  for (const DataKind kind : {DataKind::ring, DataKind::grid}) {
    DataOptions options;
    options.kind = kind;
    options.modes = 25;
    const Dataset toy = make_toy(options, 3);
    const ModeCoverage coverage = mode_coverage(toy.samples, toy.modes->centres, toy.modes->std);
    EXPECT_EQ(coverage.modes, 25);
    EXPECT_EQ(coverage.covered, 25);
    const double expected = 1.0 - std::exp(-4.5);
    const double four_sigma = 4.0 * std::sqrt(expected * (1.0 - expected) / static_cast<double>(options.count));
    EXPECT_NEAR(coverage.high_quality, expected, four_sigma);
  }
}

TEST(ModeCoverage, RefusesOtherShapes) {
  EXPECT_THROW(mode_coverage(torch::zeros({4, 3}), kCentres, 1.0), c10::Error);
  EXPECT_THROW(mode_coverage(torch::zeros({0, 2}), kCentres, 1.0), c10::Error);
  EXPECT_THROW(mode_coverage(torch::zeros({4, 2}), torch::zeros({0, 2}), 1.0), c10::Error);
}

}  // namespace
}  // namespace sgan
