#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace sgan {

// How far a set of samples is spread out: Euclidean distances, in the units of what was given.
struct Spread {
  double pairwise = 0;  // mean over all pairs
  double nearest = 0;   // mean over the samples, each to its nearest other
};

// Generated samples beside real ones. A ratio is 1 where both are spread alike, 0 where the generated ones are all the
// same, and 1 by convention where the real ones are.
struct Diversity {
  Spread generated;
  Spread real;
  double pairwise_ratio = 0;  // near 0: one image; k distinct ones give about 1 − 1/k
  double nearest_ratio = 0;   // near 0: few images, many times
};

// generated, real: (N, …) and (M, …), images or features, N, M > 1, of equal shape but for their number; any dtype,
// computed in float64, exactly for uint8. Of more than `limit` samples, `limit` count, chosen at random but always the
// same ones, equally many of both, since the distance to the nearest shrinks with their number. The default is cheap
// enough for images during training.
Diversity pairwise_diversity(const torch::Tensor& generated, const torch::Tensor& real, int64_t limit = 64);

// How a classifier sees the samples fall into its classes.
struct ClassBalance {
  int64_t samples = 0;
  int64_t classes = 0;
  int64_t covered = 0;     // classes that at least a tenth of their fair share, N / classes, of the samples is named as
  double entropy = 0;      // nats, of the mean probabilities
  double max_entropy = 0;  // log classes: all equally likely
};

// probabilities: (N, K), N > 0, rows that sum to 1.
ClassBalance class_balance(const torch::Tensor& probabilities);

// What is wrong, in a sentence, if a generator has collapsed; else nothing. It has if
//   - pairwise_ratio < 0.5: its images are nearly one, or two that take turns;
//   - nearest_ratio < 0.2: a few images come again and again; or
//   - fewer than half of the classes are covered, by 10 samples a class or more.
// Between halves of real data the ratios are 0.95 to 1.05. Trained generators of digits have 0.87 and 1.0 or more, one
// that collapsed 0.06 and 0.06, and one that has not yet learned anything is as good as collapsed. A loss of few
// classes or of some variety is not noticed.
std::optional<std::string> name_collapse(const Diversity& diversity, const std::optional<ClassBalance>& balance = {});
bool is_collapsed(const Diversity& diversity, const std::optional<ClassBalance>& balance = {});

}  // namespace sgan
