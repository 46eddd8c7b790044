#include "evaluation/inception_score.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <cmath>

#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

TEST(InceptionScore, IsTheReference) {
  const Tensors stored = load_fixture("metrics");
  const InceptionScore score = inception_score(stored.at("score.probabilities"));
  EXPECT_NEAR(score.mean, stored.at("score.mean").item<double>(), 1e-12);
  EXPECT_NEAR(score.std, stored.at("score.std").item<double>(), 1e-12);
  EXPECT_EQ(score.splits, 10);
  const InceptionScore narrow = inception_score(stored.at("score.probabilities").to(torch::kFloat));
  EXPECT_NEAR(narrow.mean, score.mean, 1e-6);
}

TEST(InceptionScore, OfUniformProbabilitiesIsOne) {
  const InceptionScore score = inception_score(torch::full({50, 4}, 0.25));
  EXPECT_DOUBLE_EQ(score.mean, 1);
  EXPECT_DOUBLE_EQ(score.std, 0);
}

TEST(InceptionScore, OfCertaintyInEveryClassIsTheirNumber) {
  const InceptionScore score = inception_score(torch::eye(7).repeat({20, 1}));
  EXPECT_NEAR(score.mean, 7, 1e-12);
  EXPECT_NEAR(score.std, 0, 1e-12);
}

// Each part on its own: (1, 0), (0, 1) has marginal (½, ½) and score 2; (1, 0) twice has 1.
TEST(InceptionScore, PartsAreConsecutive) {
  const auto rows = torch::tensor({{1.0F, 0.0F}, {0.0F, 1.0F}, {1.0F, 0.0F}, {1.0F, 0.0F}});
  const InceptionScore score = inception_score(rows, 2);
  EXPECT_DOUBLE_EQ(score.mean, 1.5);
  EXPECT_DOUBLE_EQ(score.std, 0.5);
  EXPECT_EQ(score.splits, 2);
  // Marginal (¾, ¼): exp(¾ log(4/3) + ¼ log 4).
  EXPECT_NEAR(inception_score(rows, 1).mean, std::exp(0.75 * std::log(4.0 / 3.0) + 0.25 * std::log(4.0)), 1e-12);
}

TEST(InceptionScore, RefusesWhatAreNoProbabilities) {
  const auto good = torch::full({50, 4}, 0.25);
  EXPECT_THROW(inception_score(good * 2), c10::Error);
  EXPECT_THROW(inception_score(good * NAN), c10::Error);
  EXPECT_THROW(inception_score(torch::tensor({{1.5F, -0.5F}}), 1), c10::Error);
  EXPECT_THROW(inception_score(good, 51), c10::Error);
  EXPECT_THROW(inception_score(good, 0), c10::Error);
  EXPECT_THROW(inception_score(good.flatten()), c10::Error);
}

}  // namespace
}  // namespace sgan
