#include "evaluation/sliced_wasserstein.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include <cmath>

#include "data/digits.h"
#include "run/random_streams.h"
#include "tests/data/user_error.h"
#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

torch::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return torch::randn(shape, make_generator(seed, torch::kCPU));
}

torch::Tensor random_directions(int64_t dimension, int64_t count) {
  const auto drawn = normal({dimension, count}, 17);
  return drawn / drawn.norm(2, {0}, true);
}

TEST(LaplacianPyramid, IsThatOfSciPy) {
  const auto fixture = load_fixture("sliced_wasserstein");
  for (const auto& [name, levels] : std::map<std::string, size_t>{{"square", 3}, {"wide", 2}, {"odd", 1}}) {
    const auto pyramid = laplacian_pyramid(fixture.at(name + ".images").to(torch::kFloat32));
    ASSERT_EQ(pyramid.size(), levels) << name;
    for (size_t level = 0; level < levels; ++level) {
      const auto& expected = fixture.at(name + ".level" + std::to_string(level));
      EXPECT_TRUE(close(pyramid[level], expected, 1e-6)) << name << " " << level;
    }
  }
}

// A surface that is straight in both directions passes through the kernel unchanged, away from the borders.
TEST(LaplacianPyramid, OfARampIsZeroButForItsCoarsestScale) {
  const auto ramp = torch::arange(64, torch::kFloat32).view({1, 1, 1, 64}).expand({1, 1, 64, 64});
  const auto pyramid = laplacian_pyramid(ramp);
  ASSERT_EQ(pyramid.size(), 3);
  EXPECT_LT(pyramid[0].slice(3, 4, 60).abs().max().item<float>(), 1e-4);
  EXPECT_TRUE(torch::allclose(pyramid[2][0][0][8].slice(0, 2, 14), torch::arange(8, 56, 4, torch::kFloat32)));
}

TEST(CutPatches, AreThePixelsAtTheirCorners) {
  const auto images = torch::arange(2 * 3 * 8 * 9, torch::kFloat32).view({2, 3, 8, 9});
  const auto corners = torch::tensor({0, 0, 1, 2, 1, 0, 0, 2}, torch::kInt64).view({2, 2, 2});
  const auto patches = cut_patches(images, corners);
  ASSERT_EQ(patches.sizes(), (std::vector<int64_t>{4, 3, 49}));
  const auto cut = [&](int64_t image, int64_t row, int64_t column) {
    return images[image].slice(1, row, row + 7).slice(2, column, column + 7).reshape({3, 49});
  };
  EXPECT_TRUE(torch::equal(patches, torch::stack({cut(0, 0, 0), cut(0, 1, 2), cut(1, 1, 0), cut(1, 0, 2)})));
}

TEST(StandardizeChannels, GivesEachMeanZeroAndSpreadOneOrNothing) {
  auto patches = torch::stack({3 * normal({50, 49}, 1) + 100, torch::full({50, 49}, 7.0F)}, 1);
  standardize_channels(patches);
  EXPECT_NEAR(patches.select(1, 0).mean().item<double>(), 0, 1e-5);
  EXPECT_NEAR(patches.select(1, 0).std(/*unbiased=*/false).item<double>(), 1, 1e-5);
  EXPECT_TRUE(torch::equal(patches.select(1, 1), torch::zeros({50, 49})));
}

TEST(SlicedDistance, OnALineMatchesInOrder) {
  const auto a = torch::tensor({3.0F, -1.0F, 0.5F, -2.5F, -0.0F}).view({5, 1});
  const auto b = torch::tensor({0.0F, 1.0F, -7.0F, 2.0F, 1e-3F}).view({5, 1});
  // Sorted: −2.5 −1 0 0.5 3 and −7 0 0.001 1 2.
  EXPECT_NEAR(sliced_distance(a, b, torch::ones({1, 1})), (4.5 + 1 + 0.001 + 0.5 + 1) / 5, 1e-7);
}

// |⟨θ, t⟩| for each direction θ, whose mean over the sphere of dimension d is ‖t‖ Γ(d/2) / (√π Γ((d+1)/2)).
TEST(SlicedDistance, OfATranslationIsItsMeanProjection) {
  constexpr int64_t kDimension = 10;
  const auto a = normal({700, kDimension}, 1);
  const auto shift = torch::arange(kDimension, torch::kFloat32);
  const auto directions = random_directions(kDimension, 4000);
  const double found = sliced_distance(a, a + shift, directions);
  EXPECT_NEAR(found, shift.matmul(directions).abs().mean().item<double>(), 1e-5);
  const double on_the_sphere = shift.norm().item<double>() * std::tgamma(kDimension / 2.0) /
                               (std::sqrt(M_PI) * std::tgamma((kDimension + 1) / 2.0));
  EXPECT_NEAR(found, on_the_sphere, 0.05 * on_the_sphere);  // 4000 directions: 1.2 % standard error
}

// For centred Gaussians, W1 on each line is |σ_a − σ_b| E|Z| = 2 √(2/π).
TEST(SlicedDistance, OfTwoGaussiansIsTheDifferenceOfTheirWidths) {
  const double found = sliced_distance(normal({20'000, 5}, 1), 3 * normal({20'000, 5}, 2), random_directions(5, 40));
  EXPECT_NEAR(found, 2 * std::sqrt(2 / M_PI), 0.03);
}

TEST(SlicedDistance, RefusesWhatDoesNotFit) {
  EXPECT_THROW(sliced_distance(normal({3, 2}, 1), normal({4, 2}, 1), torch::ones({2, 1})), c10::Error);
  EXPECT_THROW(sliced_distance(normal({3, 2}, 1), normal({3, 2}, 1), torch::ones({3, 1})), c10::Error);
}

TEST(SlicedWasserstein, StepByStepIsThatOfNumPy) {
  const auto fixture = load_fixture("sliced_wasserstein");
  const auto real = laplacian_pyramid(fixture.at("real").to(torch::kFloat32));
  const auto fake = laplacian_pyramid(fixture.at("fake").to(torch::kFloat32));
  for (size_t level = 0; level < 2; ++level) {
    const auto corners = fixture.at("corners" + std::to_string(level));
    const auto descriptors = [&](const torch::Tensor& images) {
      auto patches = cut_patches(images, corners);
      standardize_channels(patches);
      return patches.flatten(1);
    };
    const double found = sliced_distance(descriptors(real[level]), descriptors(fake[level]),
                                         fixture.at("directions").to(torch::kFloat32));
    EXPECT_NEAR(found, fixture.at("distance" + std::to_string(level)).item<double>(), 1e-6) << level;
  }
}

TEST(SlicedWasserstein, AsAWholeIsThatOfNumPyButForChance) {
  const auto fixture = load_fixture("sliced_wasserstein");
  const auto found = sliced_wasserstein(fixture.at("real"), fixture.at("fake"), 3);
  EXPECT_THAT(found.resolutions, ElementsAre(32, 16));
  ASSERT_EQ(found.distances.size(), 2);
  for (size_t level = 0; level < 2; ++level) {
    const auto at = static_cast<int64_t>(level);
    EXPECT_NEAR(found.distances[level], fixture.at("published.mean")[at].item<double>(),
                4 * fixture.at("published.std")[at].item<double>());
  }
  EXPECT_DOUBLE_EQ(found.average, (found.distances[0] + found.distances[1]) / 2);
}

TEST(SlicedWasserstein, OfEqualSetsIsZeroAndGrowsWithTheNoise) {
  const auto digits = load_digits(16).samples.slice(0, 0, 200);
  const auto noisy = [&](double strength) {
    const auto noise = strength * torch::randn(digits.sizes(), make_generator(5, torch::kCPU));
    return (digits + noise).clamp(0, 255).to(torch::kUInt8);
  };
  EXPECT_EQ(sliced_wasserstein(digits, digits, 0).average, 0);
  const double little = sliced_wasserstein(digits, noisy(10), 0).average;
  const double much = sliced_wasserstein(digits, noisy(60), 0).average;
  EXPECT_GT(little, 0);
  EXPECT_GT(much, 2 * little);
}

// The kernel takes no notice of a pattern that alternates from pixel to pixel, so the next scale has nothing of it.
TEST(SlicedWasserstein, OfACheckerboardLiesInTheFinestScale) {
  const auto real = torch::randint(100, 150, {60, 3, 32, 32}, make_generator(1, torch::kCPU), torch::kUInt8);
  const auto side = torch::arange(32, torch::kUInt8);
  const auto fake = real + 40 * ((side.view({32, 1}) + side) % 2);
  const auto found = sliced_wasserstein(real, fake, 0);
  EXPECT_GT(found.distances[0], 10);
  EXPECT_LT(found.distances[1], 0.01);  // float32 digits of 125 beside a spread of 5
}

TEST(SlicedWasserstein, OfACollapsedGeneratorIsANumber) {
  const auto digits = load_digits(16).samples.slice(0, 0, 40);
  const auto black = torch::zeros_like(digits);
  const double found = sliced_wasserstein(digits, black, 0).average;
  EXPECT_TRUE(std::isfinite(found));
  EXPECT_GT(found, 100);
}

TEST(SlicedWasserstein, DependsOnItsSeedAlone) {
  const auto digits = load_digits(32).samples;
  const auto a = digits.slice(0, 0, 70);  // more than one batch
  const auto b = digits.slice(0, 70, 140);
  const auto first = sliced_wasserstein(a, b, 1);
  EXPECT_EQ(first.distances, sliced_wasserstein(a, b, 1).distances);
  EXPECT_NE(first.distances, sliced_wasserstein(a, b, 2).distances);
  EXPECT_EQ(first.resolutions, (std::vector<int64_t>{32, 16}));
}

TEST(SlicedWasserstein, SaysWhatItNeeds) {
  const auto small = torch::zeros({4, 1, 8, 8}, torch::kUInt8);
  EXPECT_THAT(error_of([&] { sliced_wasserstein(small, small, 0); }), HasSubstr("at least 16×16 pixels"));
  const auto images = torch::zeros({4, 1, 16, 16}, torch::kUInt8);
  EXPECT_THROW(sliced_wasserstein(images, images.slice(0, 1), 0), c10::Error);
  EXPECT_THROW(sliced_wasserstein(images.to(torch::kFloat32), images, 0), c10::Error);
}

}  // namespace
}  // namespace sgan
