#include "evaluation/neighbours.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <cmath>
#include <string>
#include <vector>

#include "run/random_streams.h"
#include "tests/fixtures/fixture.h"

namespace sgan {
namespace {

torch::Tensor normal(int64_t rows, int64_t size, uint64_t seed) {
  return torch::randn({rows, size}, make_generator(seed, torch::kCPU), torch::kFloat);
}

torch::Tensor integers(int64_t end, at::IntArrayRef sizes, uint64_t seed) {
  return torch::randint(end, sizes, make_generator(seed, torch::kCPU), torch::kLong);
}

torch::Tensor line(const std::vector<float>& places) {
  return torch::tensor(places).unsqueeze(1);
}

// The definitions, on matrices of all distances in float64, as differences.
namespace plain {

torch::Tensor distances(const torch::Tensor& a, const torch::Tensor& b) {
  return at::cdist(a.to(torch::kDouble), b.to(torch::kDouble), 2, /*donot_use_mm_for_euclid_dist*/ int64_t{2});
}

torch::Tensor radii(const torch::Tensor& points, int64_t k) {
  return std::get<0>(distances(points, points).kthvalue(k + 1, 1));  // itself is the first
}

double share(const torch::Tensor& flags) {
  return flags.to(torch::kDouble).mean().item<double>();
}

ManifoldScores scores(const torch::Tensor& real, const torch::Tensor& fake, const ManifoldOptions& options) {
  const auto between = distances(real, fake);
  const auto strictly = between < radii(real, options.k_density).unsqueeze(1);
  return {.precision = share((between <= radii(real, options.k_precision).unsqueeze(1)).any(0)),
          .recall = share((between <= radii(fake, options.k_precision).unsqueeze(0)).any(1)),
          .density = strictly.sum(0).to(torch::kDouble).mean().item<double>() / static_cast<double>(options.k_density),
          .coverage = share(strictly.any(1))};
}

}  // namespace plain

struct Case {
  std::string name;
  torch::Tensor real;
  torch::Tensor fake;
};

// What products in float32 get wrong: ties, copies, near copies far from the mean, sizes beyond float32's squares.
std::vector<Case> cases() {
  const auto lattice = [](uint64_t seed) { return integers(3, {200, 4}, seed).to(torch::kFloat); };
  const auto clusters = [](int64_t rows, uint64_t seed, double spread) {
    return 10 * normal(5, 24, 1).index_select(0, integers(5, {rows}, seed)) + spread * normal(rows, 24, seed + 1);
  };
  const auto copies = [](int64_t rows, uint64_t seed) {
    return normal(40, 16, 2).index_select(0, integers(40, {rows}, seed));
  };
  const auto real = normal(220, 300, 3);
  return {{"normal", real, normal(170, 300, 4) * 0.9},
          {"lattice", lattice(5), lattice(6)},
          {"copies", copies(200, 7), torch::cat({copies(100, 8), normal(50, 16, 9)})},
          {"clusters", clusters(230, 10, 1e-3), clusters(150, 11, 1e-3)},
          {"tight clusters", clusters(230, 12, 1e-5), clusters(150, 13, 1e-5)},
          {"collapsed onto a real one", real, real.slice(0, 5, 6) + 1e-6 * normal(150, 300, 14)},
          {"in the middle of the real", real, 1e-3 * normal(150, 300, 15)},
          {"large offset", 1e4 + normal(200, 12, 16), 1e4 + normal(150, 12, 17)},
          {"an outlier", torch::cat({normal(200, 8, 18), torch::full({1, 8}, 1e6F)}), normal(150, 8, 19)},
          {"huge", 1e30 * normal(150, 6, 20), 1e30 * normal(150, 6, 21)},
          {"tiny", 1e-30 * normal(150, 6, 22), 1e-30 * normal(150, 6, 23)},
          {"equal", torch::ones({90, 3}), torch::ones({80, 3})},
          {"on a line in order", torch::arange(0, 300).unsqueeze(1).to(torch::kFloat),
           torch::arange(50, 250).unsqueeze(1) + 0.25F}};
}

void expect_equal(const ManifoldScores& actual, const ManifoldScores& expected) {
  EXPECT_DOUBLE_EQ(actual.precision, expected.precision);
  EXPECT_DOUBLE_EQ(actual.recall, expected.recall);
  EXPECT_DOUBLE_EQ(actual.density, expected.density);
  EXPECT_DOUBLE_EQ(actual.coverage, expected.coverage);
}

// Relative, element by element; where 0 is expected, exactly.
void expect_same_digits(const torch::Tensor& actual, const torch::Tensor& expected) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  EXPECT_TRUE(((actual - expected).abs() <= 1e-13 * expected).all().item<bool>())
      << (actual - expected).abs().max().item<double>();
}

TEST(Neighbours, AreTheReference) {
  const Tensors stored = load_fixture("metrics");
  const auto& real = stored.at("manifold.real");
  const auto& fake = stored.at("manifold.fake");
  expect_same_digits(neighbour_distances(real, 5), stored.at("manifold.neighbour_distances"));
  const Nearest found = nearest(fake, real);
  expect_same_digits(found.distance, stored.at("manifold.nearest_distance"));
  EXPECT_TRUE(torch::equal(found.index, stored.at("manifold.nearest_index")));
}

TEST(Neighbours, HaveTheDistancesOfFloat64) {
  for (const auto& [name, real, fake] : cases()) {
    SCOPED_TRACE(name);
    for (const auto& points : {real, fake}) {
      const auto sorted = std::get<0>(plain::distances(points, points).sort(1));
      expect_same_digits(neighbour_distances(points, 5, 64), sorted.slice(1, 1, 6));
    }
    const auto between = plain::distances(fake, real);
    const Nearest found = nearest(fake, real, 64);
    expect_same_digits(found.distance, std::get<0>(between.min(1)));
    expect_same_digits(between.gather(1, found.index.unsqueeze(1)).squeeze(1), found.distance);
  }
}

TEST(Neighbours, DoNotDependOnTheBlocks) {
  for (const auto& [name, real, fake] : cases()) {
    SCOPED_TRACE(name);
    const auto distances = neighbour_distances(real, 4);
    const Nearest found = nearest(fake, real);
    for (const int64_t block : {17, 128}) {
      EXPECT_TRUE(torch::equal(neighbour_distances(real, 4, block), distances)) << block;
      EXPECT_TRUE(torch::equal(nearest(fake, real, block).distance, found.distance)) << block;
      EXPECT_TRUE(torch::equal(nearest(fake, real, block).index, found.index)) << block;
    }
  }
}

TEST(Neighbours, DoNotDependOnTheThreads) {
  const auto points = torch::cat({normal(400, 20, 1), normal(100, 20, 1)});
  const auto of_one = neighbour_distances(points, 3, 200);
  const ManifoldScores scores_of_one = manifold_scores(points, normal(300, 20, 2), {.block_rows = 200});
  const int threads = at::get_num_threads();
  at::set_num_threads(3);
  EXPECT_TRUE(torch::equal(neighbour_distances(points, 3, 200), of_one));
  expect_equal(manifold_scores(points, normal(300, 20, 2), {.block_rows = 200}), scores_of_one);
  at::set_num_threads(threads);
}

TEST(Neighbours, CountACopyButNotThePointItself) {
  const auto expected = torch::tensor({{0.0, 3.0}, {0.0, 3.0}, {3.0, 3.0}, {4.0, 7.0}}, torch::kDouble);
  EXPECT_TRUE(torch::equal(neighbour_distances(line({2, 2, 5, 9}), 2), expected));
}

TEST(Neighbours, OfEqualDistanceGoByIndex) {
  // From 5: 4 and 6 are equally near, then 3 and 7, each twice.
  const auto points = line({7, 3, 6, 4, 6, 4, 3});
  EXPECT_TRUE(torch::equal(neighbour_distances(torch::cat({points, line({5})}), 7)[7],
                           torch::tensor({1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0}, torch::kDouble)));
  for (const int64_t block : {1, 3, 8}) {
    const Nearest found = nearest(line({5, 3, 7, 6}), points, block);
    EXPECT_TRUE(torch::equal(found.index, torch::tensor({2, 1, 0, 2}))) << block;
    EXPECT_TRUE(torch::equal(found.distance, torch::tensor({1.0, 0.0, 0.0, 0.0}, torch::kDouble))) << block;
  }
}

TEST(Manifold, ScoresAreTheReference) {
  const Tensors stored = load_fixture("metrics");
  const ManifoldScores scores = manifold_scores(stored.at("manifold.real"), stored.at("manifold.fake"));
  const auto expected = [&](const std::string& name) { return stored.at("manifold." + name).item<double>(); };
  expect_equal(scores, {.precision = expected("precision"),
                        .recall = expected("recall"),
                        .density = expected("density"),
                        .coverage = expected("coverage")});
}

TEST(Manifold, ScoresAreThoseOfFloat64) {
  for (const auto& [name, real, fake] : cases()) {
    SCOPED_TRACE(name);
    for (const int64_t block : {50, 2048}) {
      const ManifoldOptions options{.k_precision = 3, .k_density = 5, .block_rows = block};
      expect_equal(manifold_scores(real, fake, options), plain::scores(real, fake, options));
      expect_equal(manifold_scores(fake, real, options), plain::scores(fake, real, options));
    }
  }
}

// Real 0 and 1 have radius 1, generated 2 and 5 radius 3. 2 is on the border of 1's ball.
TEST(Manifold, BordersCountForPrecisionAndRecallAlone) {
  const ManifoldOptions nearest_only{.k_precision = 1, .k_density = 1};
  expect_equal(manifold_scores(line({0, 1}), line({2, 5}), nearest_only),
               {.precision = 0.5, .recall = 1.0, .density = 0.0, .coverage = 0.0});
  // 1.5 is inside of 1's ball alone; it and 5 have radius 3.5, which 0 and 1 are in.
  expect_equal(manifold_scores(line({0, 1}), line({1.5, 5}), nearest_only),
               {.precision = 0.5, .recall = 1.0, .density = 0.5, .coverage = 0.5});
}

TEST(Manifold, BallsOfCopiesHoldCopiesOnTheirBorder) {
  expect_equal(manifold_scores(torch::ones({9, 2}), torch::ones({8, 2})),
               {.precision = 1.0, .recall = 1.0, .density = 0.0, .coverage = 0.0});
}

// Every ball has its own point and k − 1 neighbours inside, and the k-th on its border.
TEST(Manifold, OfASetWithItselfHasScoresOfOne) {
  const auto points = normal(300, 6, 1);
  expect_equal(manifold_scores(points, points), {.precision = 1.0, .recall = 1.0, .density = 1.0, .coverage = 1.0});
}

TEST(Manifold, DistinguishesWhatIsMissing) {
  const auto real = torch::cat({normal(200, 4, 1), normal(200, 4, 2) + 50});
  const ManifoldScores collapsed = manifold_scores(real, normal(200, 4, 3));
  EXPECT_GT(collapsed.precision, 0.9);
  EXPECT_LT(collapsed.recall, 0.5);
  EXPECT_LT(collapsed.coverage, 0.5);
  const ManifoldScores scattered = manifold_scores(normal(200, 4, 1), torch::cat({normal(200, 4, 2) * 1e3, real}));
  EXPECT_LT(scattered.precision, 0.7);
  EXPECT_EQ(scattered.recall, 1);
}

TEST(Manifold, MayBeKept) {
  const auto real = normal(100, 6, 1);
  const auto fake = normal(80, 6, 2);
  const ManifoldOptions options{.k_precision = 4, .k_density = 2};
  const Manifold kept = make_manifold(real, options);
  expect_equal(manifold_scores(kept, make_manifold(fake, options)), plain::scores(real, fake, options));
  EXPECT_THROW(manifold_scores(kept, make_manifold(fake)), c10::Error);
}

TEST(Neighbours, RefuseWhatHasNone) {
  const auto points = normal(6, 3, 1);
  EXPECT_THROW(neighbour_distances(points, 6), c10::Error);
  EXPECT_THROW(neighbour_distances(points, 0), c10::Error);
  EXPECT_THROW(neighbour_distances(points, 1, 0), c10::Error);
  EXPECT_THROW(neighbour_distances(points.to(torch::kDouble), 1), c10::Error);
  EXPECT_THROW(neighbour_distances(points * NAN, 1), c10::Error);
  EXPECT_THROW(neighbour_distances(points.flatten(), 1), c10::Error);
  EXPECT_THROW(nearest(points, torch::zeros({0, 3})), c10::Error);
  EXPECT_THROW(nearest(points, torch::zeros({6, 2})), c10::Error);
  EXPECT_THROW(manifold_scores(points, normal(5, 3, 2)), c10::Error);
  EXPECT_THROW(manifold_scores(points, normal(6, 4, 2)), c10::Error);
  EXPECT_THROW(manifold_scores(points, points, {.k_precision = 0}), c10::Error);
}

}  // namespace
}  // namespace sgan
