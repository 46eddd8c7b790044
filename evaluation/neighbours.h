#pragma once

#include <torch/types.h>

#include <cstdint>

namespace sgan {

// Points here are features (N, D) float32 on the CPU, finite. Every distance and every comparison of distances is that
// of Σ (xᵢ − yᵢ)² in float64: equal points are at exactly 0, close ones lose no digits, and no result depends on the
// block size or the number of threads. Products in float32 only rule out the pairs that they prove to be irrelevant.

// Rows of a block of distances: 16 MiB of float32. Beside it the searches hold a copy of their points.
constexpr int64_t kNeighbourBlock = 2048;

struct Nearest {
  torch::Tensor distance;  // (Q) float64, Euclidean
  torch::Tensor index;     // (Q) int64, a row of the points, the lowest of those equally near
};

// For each query (Q, D) its nearest among the points (N, D), N > 0: how far a generated image is from what was learned.
// Errors: c10::Error.
Nearest nearest(const torch::Tensor& queries, const torch::Tensor& points, int64_t block_rows = kNeighbourBlock);

// (N, k) float64, ascending: the Euclidean distances from each point to its k nearest others; a copy of it is another
// point. Errors: c10::Error where there are no k others.
torch::Tensor neighbour_distances(const torch::Tensor& points, int64_t k, int64_t block_rows = kNeighbourBlock);

struct ManifoldOptions {
  int64_t k_precision = 3;  // neighbours that the balls of precision and recall reach to
  int64_t k_density = 5;    // the same for density and coverage
  int64_t block_rows = kNeighbourBlock;
};

// A set of points with a ball around each, which reaches to its k-th nearest other.
struct Manifold {
  torch::Tensor points;
  torch::Tensor squared_radius_precision;  // (N) float64
  torch::Tensor squared_radius_density;
  ManifoldOptions options;
};

// Worth keeping for real images, whose radii are the larger part of the work. N > max(k). Errors: c10::Error.
Manifold make_manifold(const torch::Tensor& points, const ManifoldOptions& options = {});

struct ManifoldScores {
  double precision = 0.0;  // share of the generated in a ball of a real one, border included
  double recall = 0.0;     // share of the real in a ball of a generated one, border included
  double density = 0.0;    // balls of real ones that a generated one is in, border excluded, mean / k: 0 to N/k
  double coverage = 0.0;   // share of the real whose ball has a generated one in it, border excluded
};

// Precision and recall of Kynkäänniemi et al. 2019, density and coverage of Naeem et al. 2020. All depend on the sizes
// of the sets, so a score must name them. Both manifolds of the same k and D. Errors: c10::Error.
ManifoldScores manifold_scores(const Manifold& real, const Manifold& fake);
ManifoldScores manifold_scores(const torch::Tensor& real, const torch::Tensor& fake,
                               const ManifoldOptions& options = {});

}  // namespace sgan
