#include "evaluation/image_input.h"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <vector>

namespace sgan {
namespace {

torch::Tensor numbered(int64_t count, int64_t channels) {
  return torch::arange(count * channels * 4, torch::kUInt8).view({count, channels, 2, 2});
}

TEST(ToRgb, RepeatsGreyAndKeepsColour) {
  const auto grey = numbered(3, 1);
  const auto rgb = to_rgb(grey);
  ASSERT_EQ(rgb.sizes(), (std::vector<int64_t>{3, 3, 2, 2}));
  for (int64_t channel = 0; channel < 3; ++channel) EXPECT_TRUE(rgb.select(1, channel).equal(grey.select(1, 0)));
  EXPECT_TRUE(to_rgb(numbered(2, 3)).equal(numbered(2, 3)));
}

TEST(ToRgb, RefusesWhatAreNoImages) {
  EXPECT_THROW(to_rgb(torch::zeros({2, 3, 4, 4})), c10::Error);
  EXPECT_THROW(to_rgb(torch::zeros({2, 4, 4, 4}, torch::kUInt8)), c10::Error);
  EXPECT_THROW(to_rgb(torch::zeros({3, 4, 4}, torch::kUInt8)), c10::Error);
}

// Bilinear interpolation of x is x at the sampled place, (i + ½) w / size − ½, held inside the image.
TEST(ResizeBilinear, OfARampIsTheSampledPlace) {
  for (const int64_t width : {5, 8, 40, 13}) {
    const int64_t size = 13;
    const auto ramp = torch::arange(width, torch::kDouble).expand({1, 2, width, width});
    const auto scale = static_cast<double>(width) / static_cast<double>(size);
    const auto expected = ((torch::arange(size, torch::kDouble) + 0.5) * scale - 0.5).clamp(0, width - 1);
    const auto across = resize_bilinear(ramp, size);
    ASSERT_EQ(across.sizes(), (std::vector<int64_t>{1, 2, size, size}));
    EXPECT_TRUE(across.allclose(expected.expand_as(across), 0, 1e-12)) << width;
    const auto down = resize_bilinear(ramp.transpose(2, 3), size);
    EXPECT_TRUE(down.transpose(2, 3).allclose(expected.expand_as(down), 0, 1e-12)) << width;
  }
}

// Four to one, each output is the mean of the middle two: antialiasing would see the outer ones too.
TEST(ResizeBilinear, DoesNotAntialias) {
  const auto row = torch::tensor({9.0, 1.0, 2.0, 9.0, 9.0, 5.0, 8.0, 9.0}, torch::kDouble);
  const auto resized = resize_bilinear(row.expand({1, 1, 8, 8}), 2);
  EXPECT_TRUE(resized.equal(torch::tensor({1.5, 6.5}, torch::kDouble).expand({1, 1, 2, 2})));
}

// Whatever the batch is, the answers are those of all the images at once, in their order.
TEST(FeaturesInBatches, KeepsTheOrderAndTheBound) {
  const auto images = numbered(7, 3);
  for (const int64_t batch : {1, 3, 7, 100}) {
    std::vector<int64_t> sizes;
    const auto features = features_in_batches(images, batch, [&](const torch::Tensor& part) {
      sizes.push_back(part.size(0));
      const auto values = part.flatten(1).to(torch::kDouble);
      return Features{values, values.slice(1, 0, 2) / 2};
    });
    for (const int64_t size : sizes) EXPECT_LE(size, batch);
    EXPECT_EQ(features.values.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(features.values.equal(images.flatten(1).to(torch::kFloat32)));
    EXPECT_TRUE(features.probabilities.equal(images.flatten(1).slice(1, 0, 2).to(torch::kFloat32) / 2));
  }
}

TEST(FeaturesInBatches, TakesNoImagesAndNoClasses) {
  const auto features = features_in_batches(numbered(0, 1), 4, [](const torch::Tensor& part) {
    return Features{part.flatten(1), {}};
  });
  EXPECT_EQ(features.values.sizes(), (std::vector<int64_t>{0, 4}));
  EXPECT_FALSE(features.probabilities.defined());
}

TEST(FeaturesInBatches, RefusesWhatAreNoImages) {
  const auto network = [](const torch::Tensor& part) { return Features{part.flatten(1), {}}; };
  EXPECT_THROW(features_in_batches(numbered(2, 4), 4, network), c10::Error);
  EXPECT_THROW(features_in_batches(numbered(2, 3).to(torch::kFloat32), 4, network), c10::Error);
  EXPECT_THROW(features_in_batches(numbered(2, 3), 0, network), c10::Error);
}

TEST(FeaturesInBatches, KeepsNoGraph) {
  const auto weight = torch::ones({4}, torch::TensorOptions().requires_grad(true));
  const auto features = features_in_batches(numbered(2, 1), 4, [&](const torch::Tensor& part) {
    const auto product = part.flatten(1) * weight;
    EXPECT_FALSE(product.requires_grad());
    return Features{product, {}};
  });
  EXPECT_FALSE(features.values.requires_grad());
}

}  // namespace
}  // namespace sgan
