#include "evaluation/kernel_distance.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <algorithm>

#include "run/random_streams.h"

namespace sgan {
namespace {

constexpr int64_t kSubsetBlock = 256;  // small beside a subset, so that symmetry saves products

void check(const torch::Tensor& a, const torch::Tensor& b, int64_t least) {
  for (const auto& features : {a, b}) {
    TORCH_CHECK(features.dim() == 2 && features.size(0) >= least && features.size(1) > 0,
                "features must be (N, D), D > 0, N at least ", least, ", got ", features.sizes());
    TORCH_CHECK(features.scalar_type() == torch::kFloat32 || features.scalar_type() == torch::kFloat64,
                "features must be float32 or float64, got ", features.scalar_type());
    TORCH_CHECK(features.isfinite().all().item<bool>(), "features must be finite");
  }
  TORCH_CHECK(a.size(1) == b.size(1), "both sets must have equally many features, got ", a.sizes(), " and ", b.sizes());
}

// Of x and y float64: k of each pair.
torch::Tensor kernel(const torch::Tensor& x, const torch::Tensor& y) {
  const auto base = at::mm(x, y.t()).div_(static_cast<double>(x.size(1))).add_(1);
  return base * base * base;
}

double sum_between(const torch::Tensor& a, const torch::Tensor& b, int64_t block_rows) {
  double sum = 0;
  for (const auto& x : a.split(block_rows)) {
    const auto wide = x.to(torch::kFloat64);
    for (const auto& y : b.split(block_rows)) sum += kernel(wide, y.to(torch::kFloat64)).sum().item<double>();
  }
  return sum;
}

// Over the ordered pairs of different rows.
double sum_within(const torch::Tensor& a, int64_t block_rows) {
  double sum = 0;
  const auto blocks = a.split(block_rows);
  for (size_t first = 0; first < blocks.size(); ++first) {
    const auto x = blocks[first].to(torch::kFloat64);
    const auto own = kernel(x, x);
    sum += (own.sum() - own.trace()).item<double>();
    for (size_t second = first + 1; second < blocks.size(); ++second) {
      sum += 2 * kernel(x, blocks[second].to(torch::kFloat64)).sum().item<double>();
    }
  }
  return sum;
}

// Gretton et al. 2012, equation 3.
double unbiased_mmd(const torch::Tensor& a, const torch::Tensor& b, int64_t block_rows) {
  const auto n = static_cast<double>(a.size(0));
  const auto m = static_cast<double>(b.size(0));
  return sum_within(a, block_rows) / (n * (n - 1)) + sum_within(b, block_rows) / (m * (m - 1)) -
         2 * sum_between(a, b, block_rows) / (n * m);
}

torch::Tensor draw(const torch::Tensor& features, int64_t size, const at::Generator& generator) {
  const auto order = at::randperm(features.size(0), generator, torch::kLong);
  return features.index_select(0, order.narrow(0, 0, size).to(features.device())).to(torch::kFloat64);
}

}  // namespace

KernelDistance kernel_distance(const torch::Tensor& a, const torch::Tensor& b, const KernelDistanceOptions& options) {
  torch::NoGradGuard no_grad;
  check(a, b, 4);
  TORCH_CHECK(options.subsets > 0 && options.largest_subset >= 2, "a kernel distance needs subsets of 2 rows, got ",
              options.subsets, " of ", options.largest_subset);
  const int64_t size = std::min(options.largest_subset, std::min(a.size(0), b.size(0)) / 2);
  const auto generator = make_generator(options.seed, torch::kCPU);
  auto estimates = torch::empty({options.subsets}, torch::kFloat64);
  for (int64_t subset = 0; subset < options.subsets; ++subset) {
    const auto from_a = draw(a, size, generator);
    const auto from_b = draw(b, size, generator);
    estimates[subset] = unbiased_mmd(from_a, from_b, kSubsetBlock);
  }
  return {.mean = estimates.mean().item<double>(),
          .std = estimates.std(/*unbiased=*/false).item<double>(),
          .subsets = options.subsets,
          .size = size};
}

double kernel_distance_of_all(const torch::Tensor& a, const torch::Tensor& b, int64_t block_rows) {
  torch::NoGradGuard no_grad;
  check(a, b, 2);
  TORCH_CHECK(block_rows > 0, "blocks need rows, got ", block_rows);
  return unbiased_mmd(a, b, block_rows);
}

}  // namespace sgan
