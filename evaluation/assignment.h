#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace sgan {

// For each row of a square matrix of costs (n, n), finite, the column that a cheapest assignment gives it, each column
// once: exact, by shortest augmenting paths (Jonker & Volgenant 1987; Crouse 2016), O(n³) time and O(n) memory beside
// the matrix. Errors: c10::Error where the matrix is not square or not finite.
std::vector<int64_t> cheapest_assignment(const torch::Tensor& costs);

// The 1-Wasserstein distance, with Euclidean distances, of the two empirical distributions: exact for equally many
// points, as the mean distance of the cheapest matching. a, b: (n, …), float64 taken. By Kantorovich duality it is at
// least mean f(a) − mean f(b) for every 1-Lipschitz f.
double exact_w1(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace sgan
