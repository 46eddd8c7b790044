#include "evaluation/modes.h"

namespace sgan {

ModeCoverage mode_coverage(const torch::Tensor& points, const torch::Tensor& centres, double std) {
  TORCH_CHECK(points.dim() == 2 && points.size(0) > 0 && points.size(1) == 2, "points must be (N, 2), N > 0, got ",
              points.sizes());
  TORCH_CHECK(centres.dim() == 2 && centres.size(0) > 0 && centres.size(1) == 2, "centres must be (K, 2), K > 0, got ",
              centres.sizes());
  torch::NoGradGuard no_grad;
  const torch::Tensor x = points.to(torch::kFloat64);
  const torch::Tensor distances = (x.unsqueeze(1) - centres.to(x).unsqueeze(0)).norm(2, {2});
  const auto [distance, nearest] = distances.min(1);
  const torch::Tensor good = distance <= 3.0 * std;  // false for points that are not finite
  const torch::Tensor hits = torch::bincount(nearest.masked_select(good), {}, centres.size(0));
  return {.modes = centres.size(0),
          .covered = hits.count_nonzero().item<int64_t>(),
          .high_quality = good.to(torch::kFloat64).mean().item<double>()};
}

}  // namespace sgan
