#include "data/digits.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "configs/error.h"

namespace sgan {
namespace {

using testing::HasSubstr;

TEST(Digits, AreThoseOfScikitLearn) {
  const Dataset digits = load_digits(8);
  ASSERT_EQ(digits.samples.sizes(), (std::vector<int64_t>{1437, 1, 8, 8}));
  EXPECT_EQ(digits.samples.scalar_type(), torch::kUInt8);
  // The first row but one of load_digits().images[0] is 0 0 13 15 10 15 5 0, in sixteenths.
  EXPECT_TRUE(digits.samples[0][0][1].equal(torch::tensor({0, 0, 207, 239, 159, 239, 80, 0}, torch::kUInt8)))
      << digits.samples[0][0][1];
  EXPECT_EQ(digits.samples.max().item<int>(), 255);
  EXPECT_EQ(std::vector(digits.labels.begin(), digits.labels.begin() + 4), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(digits.classes.at(7), "7");
}

TEST(Digits, TheLast360AreTheTestSplit) {
  const Dataset train = load_digits(0);
  const Dataset test = load_digits_test(0);
  EXPECT_EQ(test.size(), 360);
  EXPECT_EQ(train.size() + test.size(), 1797);
  // np.bincount(load_digits().target): how often each digit occurs in both splits together.
  std::vector<int64_t> labels = train.labels;
  labels.insert(labels.end(), test.labels.begin(), test.labels.end());
  std::vector<int64_t> counts(10);
  for (const int64_t label : labels) ++counts.at(label);
  EXPECT_EQ(counts, (std::vector<int64_t>{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}));
  EXPECT_EQ(test.labels.back(), 8);
  EXPECT_EQ(test.samples.size(2), 8);
}

TEST(Digits, LargerOnesAreFramedByBackground) {
  for (const int64_t size : {16, 32, 64}) {
    const torch::Tensor images = load_digits(size).samples;
    ASSERT_EQ(images.sizes(), (std::vector<int64_t>{1437, 1, size, size}));
    const int64_t margin = size / 16;
    const torch::Tensor inside = images.slice(2, margin, size - margin).slice(3, margin, size - margin);
    EXPECT_EQ(images.to(torch::kInt64).sum().item<int64_t>(), inside.to(torch::kInt64).sum().item<int64_t>());
    // Enlarging keeps the mean brightness, and each digit where it was.
    const torch::Tensor original = load_digits(8).samples.to(torch::kFloat64);
    EXPECT_NEAR(inside.to(torch::kFloat64).mean().item<double>(), original.mean().item<double>(), 3.0);
    const torch::Tensor shrunk = torch::adaptive_avg_pool2d(inside.to(torch::kFloat64), {8, 8});
    const torch::Tensor both = torch::stack({shrunk.flatten(), original.flatten()});
    EXPECT_GT(torch::corrcoef(both)[0][1].item<double>(), 0.95);
  }
}

TEST(Digits, OtherSizesAreRefused) {
  try {
    load_digits(28);
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.kind(), UserError::Kind::usage);
    EXPECT_THAT(error.what(), HasSubstr("data.size is 28"));
    EXPECT_THAT(error.what(), HasSubstr("8, 16, 32 and 64"));
  }
}

}  // namespace
}  // namespace sgan
