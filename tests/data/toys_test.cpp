#include "data/toys.h"

#include <cmath>
#include <numbers>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "configs/error.h"

namespace sgan {
namespace {

using testing::HasSubstr;

DataOptions toy(DataKind kind, int64_t modes, double std) {
  DataOptions options;
  options.kind = kind;
  options.modes = modes;
  options.std = std;
  options.count = 20000;
  return options;
}

// Each point's offset from its nearest centre, (N, 2), and that centre's index.
std::pair<torch::Tensor, torch::Tensor> offsets(const Dataset& dataset) {
  const torch::Tensor points = dataset.samples.to(torch::kFloat64);
  const torch::Tensor nearest = torch::cdist(points, dataset.modes->centres).argmin(1);
  return {points - dataset.modes->centres.index_select(0, nearest), nearest};
}

void expect_mixture(const Dataset& dataset, int64_t modes, double std) {
  ASSERT_EQ(dataset.samples.sizes(), (std::vector<int64_t>{20000, 2}));
  EXPECT_EQ(dataset.samples.scalar_type(), torch::kFloat32);
  ASSERT_TRUE(dataset.modes.has_value());
  EXPECT_EQ(dataset.modes->centres.sizes(), (std::vector<int64_t>{modes, 2}));
  EXPECT_EQ(dataset.modes->std, std);
  const auto [offset, nearest] = offsets(dataset);
  EXPECT_NEAR(offset.square().mean().sqrt().item<double>(), std, 4.0 * std / std::sqrt(2.0 * 40000.0));
  EXPECT_NEAR(offset.mean().item<double>(), 0.0, 4.0 * std / std::sqrt(40000.0));
  const double share = 20000.0 / static_cast<double>(modes);
  const torch::Tensor counts = torch::bincount(nearest, {}, modes);
  EXPECT_LT((counts - share).abs().max().item<double>(), 5.0 * std::sqrt(share));
}

TEST(Toys, RingIsOnACircleOfRadiusTwo) {
  const Dataset ring = make_toy(toy(DataKind::ring, 8, 0.02), 1);
  expect_mixture(ring, 8, 0.02);
  const torch::Tensor centres = ring.modes->centres;
  EXPECT_TRUE(torch::allclose(centres.norm(2, {1}), torch::full({8}, 2.0, torch::kFloat64)));
  const double half = std::numbers::sqrt2;
  EXPECT_TRUE(torch::allclose(centres[1], torch::tensor({half, half}, torch::kFloat64)));
}

TEST(Toys, GridIsCentredWithSpacingTwo) {
  const Dataset grid = make_toy(toy(DataKind::grid, 25, 0.05), 1);
  expect_mixture(grid, 25, 0.05);
  const torch::Tensor centres = grid.modes->centres;
  EXPECT_TRUE(centres[0].equal(torch::tensor({-4.0, -4.0}, torch::kFloat64)));
  EXPECT_TRUE(centres[1].equal(torch::tensor({-2.0, -4.0}, torch::kFloat64)));
  EXPECT_TRUE(centres[24].equal(torch::tensor({4.0, 4.0}, torch::kFloat64)));
}

TEST(Toys, AGridNeedsASquareNumber) {
  try {
    make_toy(toy(DataKind::grid, 8, 0.05), 1);
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.kind(), UserError::Kind::usage);
    EXPECT_THAT(error.what(), HasSubstr("data.modes is 8"));
    EXPECT_THAT(error.what(), HasSubstr("4 or 9"));
  }
}

TEST(Toys, SwissRollIsASpiral) {
  const Dataset roll = make_toy(toy(DataKind::swiss_roll, 8, 0.0), 1);
  ASSERT_EQ(roll.samples.sizes(), (std::vector<int64_t>{20000, 2}));
  EXPECT_FALSE(roll.modes.has_value());
  // Without noise the distance from the origin is the angle over 7.5, from 1.5 pi to 4.5 pi.
  const torch::Tensor points = roll.samples.to(torch::kFloat64);
  const torch::Tensor angle = 7.5 * points.norm(2, {1});
  EXPECT_GE(angle.min().item<double>(), 1.5 * std::numbers::pi - 1e-5);
  EXPECT_LE(angle.max().item<double>(), 4.5 * std::numbers::pi + 1e-5);
  const torch::Tensor expected = torch::stack({angle.cos(), angle.sin()}, 1) * angle.unsqueeze(1) / 7.5;
  EXPECT_TRUE(torch::allclose(points, expected, 0.0, 1e-5));

  const torch::Tensor noisy = make_toy(toy(DataKind::swiss_roll, 8, 0.03), 1).samples;
  EXPECT_GT((noisy.norm(2, {1}) * 7.5).max().item<double>(), 4.5 * std::numbers::pi + 0.1);
}

TEST(Toys, TheSeedAloneDecides) {
  for (const DataKind kind : {DataKind::ring, DataKind::grid, DataKind::swiss_roll}) {
    const torch::Tensor points = make_toy(toy(kind, 9, 0.1), 5).samples;
    EXPECT_TRUE(make_toy(toy(kind, 9, 0.1), 5).samples.equal(points));
    EXPECT_FALSE(make_toy(toy(kind, 9, 0.1), 6).samples.equal(points));
  }
}

}  // namespace
}  // namespace sgan
