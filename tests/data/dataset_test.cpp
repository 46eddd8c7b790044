#include "data/dataset.h"

#include <gtest/gtest.h>

namespace sgan {
namespace {

// Two grey images, one row of three pixels each.
Dataset two_images() {
  Dataset dataset;
  dataset.samples = torch::tensor({0, 51, 255, 102, 0, 204}, torch::kUInt8).view({2, 1, 1, 3});
  return dataset;
}

TEST(Dataset, DescribesItsSamples) {
  const Dataset images = two_images();
  EXPECT_EQ(images.size(), 2);
  EXPECT_EQ(images.sample_shape(), (std::vector<int64_t>{1, 1, 3}));
  EXPECT_FALSE(images.planar());

  Dataset points;
  points.samples = torch::zeros({5, 2});
  EXPECT_EQ(points.size(), 5);
  EXPECT_EQ(points.sample_shape(), std::vector<int64_t>{2});
  EXPECT_TRUE(points.planar());
}

TEST(Deliver, ScalesImagesToMinusOneToOne) {
  const torch::Tensor batch = deliver(two_images(), torch::tensor({1, 0, 0}, torch::kInt64), {}, torch::kCPU);
  const torch::Tensor expected =
      torch::tensor({-0.2F, -1.0F, 0.6F, -1.0F, -0.6F, 1.0F, -1.0F, -0.6F, 1.0F}).view({3, 1, 1, 3});
  EXPECT_EQ(batch.scalar_type(), torch::kFloat32);
  EXPECT_EQ(batch.sizes(), expected.sizes());
  EXPECT_TRUE(torch::allclose(batch, expected, 1e-6, 1e-6)) << batch;
}

TEST(Deliver, MirrorsTheImagesThatAreToBeFlipped) {
  const torch::Tensor indices = torch::tensor({0, 1}, torch::kInt64);
  const Dataset images = two_images();
  const torch::Tensor plain = deliver(images, indices, {}, torch::kCPU);
  const torch::Tensor flipped = deliver(images, indices, torch::tensor({false, true}), torch::kCPU);
  EXPECT_TRUE(flipped[0].equal(plain[0]));
  EXPECT_TRUE(flipped[1].equal(plain[1].flip({2})));
  EXPECT_FALSE(flipped[1].equal(plain[1]));
}

TEST(Deliver, LeavesPointsAsTheyAre) {
  Dataset points;
  points.samples = torch::tensor({{1.5F, -2.0F}, {3.0F, 300.0F}});
  const torch::Tensor indices = torch::tensor({1}, torch::kInt64);
  EXPECT_TRUE(deliver(points, indices, {}, torch::kCPU).equal(torch::tensor({{3.0F, 300.0F}})));
  EXPECT_THROW(deliver(points, indices, torch::tensor({true}), torch::kCPU), c10::Error);
}

}  // namespace
}  // namespace sgan
