#include "data/batch_order.h"

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "configs/error.h"

namespace sgan {
namespace {

using testing::HasSubstr;

std::vector<int64_t> as_vector(const torch::Tensor& indices) {
  return {indices.data_ptr<int64_t>(), indices.data_ptr<int64_t>() + indices.numel()};
}

// The first `updates` batches, one after another.
std::vector<int64_t> sequence(BatchOrder order, int64_t updates) {
  std::vector<int64_t> result;
  for (int64_t update = 0; update < updates; ++update) {
    const std::vector<int64_t> batch = as_vector(order.indices(update));
    result.insert(result.end(), batch.begin(), batch.end());
  }
  return result;
}

TEST(BatchOrder, EveryEpochIsAPermutation) {
  const std::vector<int64_t> positions = sequence(BatchOrder(10, 4, 1), 5);  // two epochs
  ASSERT_EQ(positions.size(), 20U);
  const std::set<int64_t> first(positions.begin(), positions.begin() + 10);
  const std::set<int64_t> second(positions.begin() + 10, positions.end());
  EXPECT_EQ(first, (std::set<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(second, first);
}

TEST(BatchOrder, EpochsAndSeedsDiffer) {
  const std::vector<int64_t> positions = sequence(BatchOrder(100, 100, 1), 2);
  EXPECT_NE(std::vector(positions.begin(), positions.begin() + 100),
            std::vector(positions.begin() + 100, positions.end()));
  EXPECT_NE(positions, sequence(BatchOrder(100, 100, 2), 2));
  EXPECT_EQ(positions, sequence(BatchOrder(100, 100, 1), 2));
}

TEST(BatchOrder, AnyUpdateCanBeAskedForAtAnyTime) {
  BatchOrder order(10, 7, 9);
  const std::vector<int64_t> late = as_vector(order.indices(1000));
  const std::vector<int64_t> early = as_vector(order.indices(1));
  BatchOrder fresh(10, 7, 9);
  EXPECT_EQ(as_vector(fresh.indices(1)), early);
  EXPECT_EQ(as_vector(fresh.indices(1000)), late);
}

TEST(BatchOrder, TheBatchSizeDoesNotChangeTheSequence) {
  EXPECT_EQ(sequence(BatchOrder(12, 3, 4), 8), sequence(BatchOrder(12, 8, 4), 3));
}

TEST(BatchOrder, ShufflesUniformly) {
  // Each of the 6 orders of 3 samples should come up equally often.
  constexpr int kEpochs = 6000;
  std::map<std::vector<int64_t>, int> counts;
  BatchOrder order(3, 3, 11);
  for (int epoch = 0; epoch < kEpochs; ++epoch) ++counts[as_vector(order.indices(epoch))];
  ASSERT_EQ(counts.size(), 6U);
  for (const auto& [permutation, count] : counts) EXPECT_NEAR(count, 1000, 4.0 * std::sqrt(kEpochs * 5.0 / 36.0));
}

TEST(BatchOrder, KeepsItsOrder) {  // resumed runs depend on it
  EXPECT_EQ(as_vector(BatchOrder(8, 8, 42).indices(0)), (std::vector<int64_t>{3, 4, 7, 6, 5, 0, 1, 2}));
}

TEST(BatchOrder, RefusesABatchLargerThanTheData) {
  try {
    BatchOrder(100, 128, 0);
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.kind(), UserError::Kind::usage);
    EXPECT_THAT(error.what(), HasSubstr("train.batch is 128"));
    EXPECT_THAT(error.what(), HasSubstr("Lower train.batch to 100"));
  }
  EXPECT_NO_THROW(BatchOrder(100, 100, 0));
}

}  // namespace
}  // namespace sgan
