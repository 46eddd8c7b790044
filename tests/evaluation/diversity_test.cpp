#include "evaluation/diversity.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include <cmath>

#include "data/digits.h"
#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

using testing::HasSubstr;

torch::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return torch::randn(shape, make_generator(seed, torch::kCPU));
}

// `count` samples of the digits, of one class if one is named.
torch::Tensor digits(int64_t first, int64_t count, int64_t label = -1) {
  const auto data = load_digits(16);
  auto samples = data.samples;
  if (label >= 0) samples = samples.index({torch::tensor(data.labels, torch::kInt64).eq(label)});
  return samples.slice(0, first, first + count);
}

// Probabilities of a classifier that is sure: (N, classes).
torch::Tensor sure_of(const std::vector<int64_t>& labels, int64_t classes) {
  return torch::one_hot(torch::tensor(labels, torch::kInt64), classes).to(torch::kFloat32);
}

TEST(PairwiseDiversity, OfPointsInThePlaneIsTheOneByHand) {
  const auto generated = torch::tensor({{0.0F, 0.0F}, {3.0F, 4.0F}, {3.0F, 0.0F}});  // sides 5, 4 and 3
  const auto real = torch::tensor({{0.0F, 0.0F}, {0.0F, 1.0F}, {0.0F, 3.0F}});       // distances 1, 2 and 3
  const auto found = pairwise_diversity(generated, real);
  EXPECT_NEAR(found.generated.pairwise, 4, 1e-12);
  EXPECT_NEAR(found.generated.nearest, (3.0 + 4 + 3) / 3, 1e-12);
  EXPECT_NEAR(found.real.pairwise, 2, 1e-12);
  EXPECT_NEAR(found.real.nearest, (1.0 + 1 + 2) / 3, 1e-12);
  EXPECT_NEAR(found.pairwise_ratio, 2, 1e-12);
  EXPECT_NEAR(found.nearest_ratio, 2.5, 1e-12);
}

// More columns than are widened at a time, and differences that wrap around in bytes.
TEST(PairwiseDiversity, OfBytesIsExact) {
  const auto black = torch::zeros({3, 70, 70}, torch::kUInt8);
  const auto images = torch::stack({black, black + 255, black, black + 1});
  const auto found = pairwise_diversity(images, images);
  const double side = std::sqrt(3.0 * 70 * 70);
  EXPECT_NEAR(found.generated.pairwise, side * (255 + 0 + 1 + 255 + 254 + 1) / 6, 1e-9);
  EXPECT_NEAR(found.generated.nearest, side * (0 + 254 + 0 + 1) / 4, 1e-9);
  EXPECT_EQ(found.pairwise_ratio, 1);
}

// E‖x − y‖ of two Gaussians of dimension d is 2 Γ((d + 1)/2) / Γ(d/2), about √(2d).
TEST(PairwiseDiversity, OfGaussiansIsTheirMeanDistance) {
  const auto found = pairwise_diversity(3 * normal({2000, 10}, 1), normal({1500, 10}, 2), 2000);
  const double expected = 2 * std::tgamma(5.5) / std::tgamma(5.0);
  EXPECT_NEAR(found.real.pairwise, expected, 0.05 * expected);
  EXPECT_NEAR(found.pairwise_ratio, 3, 0.1);
  EXPECT_NEAR(found.nearest_ratio, 3, 0.15);
}

// In a set sorted by class, the first samples would be alike.
TEST(PairwiseDiversity, TakesItsSamplesFromAllOfTheSet) {
  const auto sorted = torch::arange(10'000, torch::kFloat32).view({-1, 1});
  const auto found = pairwise_diversity(sorted, sorted, 64);
  EXPECT_NEAR(found.real.pairwise, 10'000.0 / 3, 500);  // that of uniform points
  EXPECT_EQ(found.real.pairwise, pairwise_diversity(sorted, sorted, 64).real.pairwise);
}

TEST(PairwiseDiversity, ComparesEquallyManySoThatNearestIsFair) {
  EXPECT_NEAR(pairwise_diversity(normal({40, 2}, 1), normal({5000, 2}, 2), 5000).nearest_ratio, 1, 0.35);
}

TEST(PairwiseDiversity, OfOneImageIsZeroAndBesideOneImageIsOne) {
  const auto one = digits(0, 1).expand({50, 1, 16, 16});
  const auto found = pairwise_diversity(one, digits(0, 50));
  EXPECT_EQ(found.pairwise_ratio, 0);
  EXPECT_EQ(found.nearest_ratio, 0);
  EXPECT_EQ(pairwise_diversity(digits(0, 50), one).pairwise_ratio, 1);
}

TEST(PairwiseDiversity, RefusesWhatCannotBeCompared) {
  EXPECT_THROW(pairwise_diversity(normal({4, 2}, 1), normal({4, 3}, 1)), c10::Error);
  EXPECT_THROW(pairwise_diversity(normal({1, 2}, 1), normal({4, 2}, 1)), c10::Error);
}

TEST(ClassBalance, CountsClassesWithATenthOfTheirShare) {
  std::vector<int64_t> labels(400, 0);  // of 4 classes: 10 of the 400 are the least that count
  for (size_t i = 0; i < 10; ++i) labels[i] = 1;
  for (size_t i = 10; i < 19; ++i) labels[i] = 2;
  const auto found = class_balance(sure_of(labels, 4));
  EXPECT_EQ(found.samples, 400);
  EXPECT_EQ(found.classes, 4);
  EXPECT_EQ(found.covered, 2);
}

TEST(ClassBalance, EntropyIsThatOfTheMeanProbabilities) {
  const auto found = class_balance(torch::tensor({{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.5, 0.5}, {0.5, 0.5, 0.0}}));
  // The mean is 3/8, 4/8, 1/8.
  const double expected = -(0.375 * std::log(0.375) + 0.5 * std::log(0.5) + 0.125 * std::log(0.125));
  EXPECT_NEAR(found.entropy, expected, 1e-12);
  EXPECT_NEAR(found.max_entropy, std::log(3.0), 1e-12);
  EXPECT_EQ(class_balance(sure_of({2, 2}, 3)).entropy, 0);
  EXPECT_THROW(class_balance(torch::zeros({0, 3})), c10::Error);
}

TEST(Collapse, IsNamedForAGeneratorThatDrawsOneLatent) {
  const auto one = digits(7, 1).expand({64, 1, 16, 16});
  EXPECT_THAT(name_collapse(pairwise_diversity(one, digits(0, 64))).value(), HasSubstr("nearly one image"));
}

TEST(Collapse, IsNamedForAFewImagesThatComeAgainAndAgain) {
  const auto some = digits(0, 5).repeat({13, 1, 1, 1});
  const auto noise = torch::randint(3, some.sizes(), make_generator(1, torch::kCPU), torch::kUInt8);
  const auto diversity =
      pairwise_diversity((some / 2 + noise).to(torch::kUInt8), (digits(0, 64) / 2).to(torch::kUInt8));
  EXPECT_GT(diversity.pairwise_ratio, 0.7);  // which alone says nothing
  EXPECT_THAT(name_collapse(diversity).value(), HasSubstr("repeats a few images"));
}

TEST(Collapse, IsNamedForAGeneratorOfFewClasses) {
  const auto diversity = pairwise_diversity(digits(0, 64, 3), digits(0, 64));
  EXPECT_FALSE(is_collapsed(diversity));  // the images alone do not show it
  const std::vector<int64_t> threes(100, 3);
  EXPECT_THAT(name_collapse(diversity, class_balance(sure_of(threes, 10))).value(), HasSubstr("1 of 10 classes"));
  const std::vector<int64_t> too_few(64, 3);
  EXPECT_FALSE(is_collapsed(diversity, class_balance(sure_of(too_few, 10))));
}

TEST(Collapse, IsNamedForACollapsedRunAndNotForATrainedOne) {
  const auto samples = load_fixture("digit_samples");
  const auto real = digits(0, 1437);
  EXPECT_THAT(name_collapse(pairwise_diversity(samples.at("collapsed"), real)).value(), HasSubstr("nearly one image"));
  const auto trained = pairwise_diversity(samples.at("trained"), real);
  EXPECT_FALSE(is_collapsed(trained));
  EXPECT_GT(trained.pairwise_ratio, 0.85);
  EXPECT_GT(trained.nearest_ratio, 0.85);
}

TEST(Collapse, IsNotNamedForRealData) {
  const auto data = load_digits(16);
  const auto diversity = pairwise_diversity(data.samples.slice(0, 0, 700), data.samples.slice(0, 700), 500);
  EXPECT_FALSE(is_collapsed(diversity, class_balance(sure_of(data.labels, 10))));
  EXPECT_NEAR(diversity.pairwise_ratio, 1, 0.05);
  EXPECT_NEAR(diversity.nearest_ratio, 1, 0.05);
}

}  // namespace
}  // namespace sgan
