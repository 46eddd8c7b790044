#include "evaluation/diversity.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "run/random_streams.h"

namespace sgan {
namespace {

constexpr double kOneImage = 0.5;    // pairwise_ratio below this
constexpr double kFewImages = 0.2;   // nearest_ratio below this
constexpr double kFairShare = 0.1;   // of N / classes: a class with less is not covered
constexpr double kFewClasses = 0.5;  // share covered below this
constexpr int64_t kSamplesPerClass = 10;

// `count` rows, the same ones each time, as vectors. Not the first ones: data sets come sorted by class.
torch::Tensor some_of(const torch::Tensor& samples, int64_t count) {
  auto generator = make_generator(stream_seed(0, Stream::evaluate, "diversity"), torch::kCPU);
  const auto rows = torch::randperm(samples.size(0), generator, torch::kInt64).slice(0, 0, count);
  return samples.detach().index_select(0, rows.to(samples.device())).flatten(1);
}

// (N, N) float64, from the inner products, which are whole numbers where the points are bytes; no more than a few
// columns of the points are widened at a time.
torch::Tensor distances_among(const torch::Tensor& points) {
  constexpr int64_t kColumns = 4096;
  auto products = torch::zeros({points.size(0), points.size(0)}, points.options().dtype(torch::kFloat64));
  for (const auto& columns : points.split(kColumns, 1)) {
    const auto wide = columns.to(torch::kFloat64);
    products.addmm_(wide, wide.t());
  }
  const auto squares = products.diagonal();
  return (squares.unsqueeze(0) + squares.unsqueeze(1) - 2 * products).clamp_min(0).sqrt().fill_diagonal_(0);
}

Spread spread_of(const torch::Tensor& points) {
  const auto count = points.size(0);
  auto distances = distances_among(points);
  Spread spread;
  spread.pairwise = distances.sum().item<double>() / static_cast<double>(count * (count - 1));
  spread.nearest =
      std::get<0>(distances.fill_diagonal_(std::numeric_limits<double>::infinity()).min(1)).mean().item<double>();
  return spread;
}

double ratio_of(double generated, double real) {
  return real > 0 ? generated / real : 1;
}

void check_samples(const torch::Tensor& a, const torch::Tensor& b) {
  TORCH_CHECK(a.dim() >= 2 && b.dim() >= 2 && a.sizes().slice(1) == b.sizes().slice(1),
              "samples must be of one shape, got ", a.sizes(), " and ", b.sizes());
}

}  // namespace

Diversity pairwise_diversity(const torch::Tensor& generated, const torch::Tensor& real, int64_t limit) {
  torch::NoGradGuard no_grad;
  check_samples(generated, real);
  const auto count = std::min({generated.size(0), real.size(0), limit});
  TORCH_CHECK(count > 1, "diversity needs two samples or more, got ", generated.size(0), " and ", real.size(0),
              ", of which ", limit, " may count");
  Diversity diversity{.generated = spread_of(some_of(generated, count)), .real = spread_of(some_of(real, count))};
  diversity.pairwise_ratio = ratio_of(diversity.generated.pairwise, diversity.real.pairwise);
  diversity.nearest_ratio = ratio_of(diversity.generated.nearest, diversity.real.nearest);
  return diversity;
}

ClassBalance class_balance(const torch::Tensor& probabilities) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(probabilities.dim() == 2 && probabilities.numel() > 0, "probabilities must be (N, K), N > 0, got ",
              probabilities.sizes());
  const auto rows = probabilities.detach().to(torch::kFloat64);
  const auto samples = rows.size(0);
  const auto classes = rows.size(1);
  const auto marginal = rows.mean(0);
  const auto named = torch::bincount(rows.argmax(1), {}, classes);
  const double least = kFairShare * static_cast<double>(samples) / static_cast<double>(classes);
  return {.samples = samples,
          .classes = classes,
          .covered = named.ge(std::max(1.0, least)).sum().item<int64_t>(),
          .entropy = -at::xlogy(marginal, marginal).sum().item<double>(),
          .max_entropy = std::log(static_cast<double>(classes))};
}

std::optional<std::string> name_collapse(const Diversity& diversity, const std::optional<ClassBalance>& balance) {
  if (diversity.pairwise_ratio < kOneImage) {
    return fmt::format(
        "the generated images are nearly one image: their mean distance is {:.3f} of the real ones' "
        "(below {})",
        diversity.pairwise_ratio, kOneImage);
  }
  if (diversity.nearest_ratio < kFewImages) {
    return fmt::format(
        "the generator repeats a few images: their mean distance to the nearest other is {:.3f} of the "
        "real ones' (below {})",
        diversity.nearest_ratio, kFewImages);
  }
  if (balance && balance->samples >= kSamplesPerClass * balance->classes &&
      static_cast<double>(balance->covered) < kFewClasses * static_cast<double>(balance->classes)) {
    return fmt::format("the generated images show {} of {} classes (fewer than half)", balance->covered,
                       balance->classes);
  }
  return std::nullopt;
}

bool is_collapsed(const Diversity& diversity, const std::optional<ClassBalance>& balance) {
  return name_collapse(diversity, balance).has_value();
}

}  // namespace sgan
