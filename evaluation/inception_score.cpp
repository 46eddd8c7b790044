#include "evaluation/inception_score.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

namespace sgan {
namespace {

double score(const torch::Tensor& part) {
  const auto conditional = part.to(torch::kFloat64);
  const auto marginal = conditional.mean(0, /*keepdim=*/true);
  // xlogy(0, ·) = 0.
  const auto divergence = (at::xlogy(conditional, conditional) - at::xlogy(conditional, marginal)).sum(1);
  return divergence.mean().exp().item<double>();
}

}  // namespace

InceptionScore inception_score(const torch::Tensor& probabilities, int64_t splits) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(splits > 0 && probabilities.dim() == 2 && probabilities.size(0) >= splits && probabilities.size(1) > 0,
              "probabilities must be (N, K), K > 0, with at least one row for each of ", splits, " splits, got ",
              probabilities.sizes());
  TORCH_CHECK(probabilities.ge(0).all().item<bool>() &&
                  probabilities.sum(1, false, torch::kFloat64).sub(1).abs().le(1e-3).all().item<bool>(),
              "probabilities must not be negative, and each row must sum to 1");
  const int64_t count = probabilities.size(0);
  auto scores = torch::empty({splits}, torch::kFloat64);
  for (int64_t split = 0; split < splits; ++split) {
    scores[split] = score(probabilities.slice(0, split * count / splits, (split + 1) * count / splits));
  }
  return {.mean = scores.mean().item<double>(), .std = scores.std(/*unbiased=*/false).item<double>(), .splits = splits};
}

}  // namespace sgan
