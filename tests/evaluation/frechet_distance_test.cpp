#include "evaluation/frechet_distance.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <cmath>

#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

torch::Tensor normal(int64_t rows, int64_t size, uint64_t seed) {
  return torch::randn({rows, size}, make_generator(seed, torch::kCPU), torch::kDouble);
}

double distance_of(const torch::Tensor& a, const torch::Tensor& b) {
  return frechet_distance(moments_of(a), moments_of(b));
}

Moments gaussian(const torch::Tensor& mean, const torch::Tensor& covariance) {
  return {.count = 1000, .mean = mean, .covariance = covariance};
}

// Full rank, fewer rows than features, constant features, a mean of 1e4: against 50 digits, and where no covariance is
// singular against pytorch-fid, torch-fidelity and torchmetrics.
TEST(FrechetDistance, IsTheReference) {
  const Tensors stored = load_fixture("metrics");
  for (const std::string name : {"regular", "few_rows", "constant_features", "large_offset"}) {
    const std::string prefix = "frechet." + name + ".";
    const auto expected = stored.at(prefix + "distance").item<double>();
    const auto& a = stored.at(prefix + "a");
    const auto& b = stored.at(prefix + "b");
    EXPECT_NEAR(distance_of(a, b), expected, 1e-9 * expected) << name;
    EXPECT_NEAR(distance_of(b, a), expected, 1e-9 * expected) << name;
  }
}

// ‖Δμ‖² + Σ (√λ − √κ)².
TEST(FrechetDistance, OfCommutingCovariancesIsTheClosedForm) {
  const auto first = torch::tensor({4.0, 0.0, 9.0, 1e-12}, torch::kDouble);
  const auto second = torch::tensor({1.0, 16.0, 0.0, 1e-12}, torch::kDouble);
  const auto mean = torch::tensor({1.0, 2.0, 3.0, 4.0}, torch::kDouble);
  const double expected = 4 + 1 + 16 + 9;
  EXPECT_NEAR(frechet_distance(gaussian(mean, first.diag()), gaussian(mean + 1, second.diag())), expected, 1e-12);

  const auto rotation = std::get<0>(at::linalg_qr(normal(4, 4, 1)));
  const auto rotated = [&](const torch::Tensor& eigenvalues) {
    return gaussian(mean, rotation.mm(eigenvalues.diag()).mm(rotation.t()));
  };
  EXPECT_NEAR(frechet_distance(rotated(first), rotated(second)), expected - 4, 1e-6);  // √(1e-16 · 16)
}

TEST(FrechetDistance, OfASetFromItselfIsZero) {
  auto few = 30 * normal(20, 200, 2);
  EXPECT_NEAR(distance_of(few, few.flip(0)), 0, 1e-8);
  auto many = 30 * normal(300, 60, 3);
  EXPECT_NEAR(distance_of(many, many.flip(0)), 0, 1e-8);
  many.slice(1, 10, 40).fill_(7.0);
  EXPECT_NEAR(distance_of(many, many.flip(0)), 0, 1e-8);
  EXPECT_NEAR(distance_of(torch::cat({few, few}), torch::cat({few, few})), 0, 1e-8);
}

// Repeating every feature doubles the distance, and makes both covariances singular without a single zero in them.
TEST(FrechetDistance, OfRepeatedFeaturesIsTheMultiple) {
  const auto a = normal(500, 20, 4);
  const auto b = 0.5 + 1.5 * normal(400, 20, 5).mm(normal(20, 20, 6));
  const double once = distance_of(a, b);
  EXPECT_NEAR(distance_of(torch::cat({a, a}, 1), torch::cat({b, b}, 1)), 2 * once, 1e-6 * once);
}

// Σ₁Σ₂ is 0, so the traces add. The roots of eigenvalues of Σ₁^½ Σ₂ Σ₁^½ that are 0 but for rounding would not.
TEST(FrechetDistance, OfPlanesAtRightAnglesIsTheSumOfTheirTraces) {
  const auto directions = std::get<0>(at::linalg_qr(normal(100, 100, 7)));
  const auto a = 30 * normal(6, 5, 8).mm(directions.slice(0, 0, 5));
  const auto b = 30 * normal(6, 5, 9).mm(directions.slice(0, 50, 55));
  const Moments of_a = moments_of(a);
  const Moments of_b = moments_of(b);
  const double expected = (of_a.mean - of_b.mean).square().sum().item<double>() +
                          of_a.covariance.trace().item<double>() + of_b.covariance.trace().item<double>();
  EXPECT_NEAR(frechet_distance(of_a, of_b), expected, 1e-12 * expected);
}

TEST(FrechetDistance, OfConstantsIsTheSquaredDistanceOfMeans) {
  EXPECT_DOUBLE_EQ(distance_of(torch::ones({5, 3}), torch::zeros({9, 3})), 3);
  EXPECT_EQ(distance_of(torch::ones({5, 3}), torch::ones({5, 3})), 0);
}

TEST(FrechetDistance, IsInvariantToMotionsAndNeverNegative) {
  for (uint64_t seed = 10; seed < 20; ++seed) {
    const auto a = normal(30, 8, seed);
    EXPECT_GE(distance_of(30 * a, 30 * a.flip(0)), 0);
    const auto c = normal(25, 8, seed + 100) * 2;
    const auto rotation = std::get<0>(at::linalg_qr(normal(8, 8, seed + 200)));
    const auto moved = [&](const torch::Tensor& x) { return x.mm(rotation) + 5; };
    EXPECT_NEAR(distance_of(moved(a), moved(c)), distance_of(a, c), 1e-11);
  }
}

TEST(FrechetDistance, RefusesWhatDoesNotCompare) {
  const Moments good = moments_of(normal(9, 3, 1));
  EXPECT_THROW(frechet_distance(good, moments_of(normal(9, 4, 1))), c10::Error);
  EXPECT_THROW(frechet_distance(good, Moments{.count = 9, .mean = good.mean, .covariance = good.mean}), c10::Error);
  EXPECT_THROW(frechet_distance(Moments{.count = 1, .mean = good.mean, .covariance = good.covariance}, good),
               c10::Error);
  EXPECT_THROW(frechet_distance(good, gaussian(good.mean, good.covariance * NAN)), c10::Error);
}

}  // namespace
}  // namespace sgan
