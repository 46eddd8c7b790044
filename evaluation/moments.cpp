#include "evaluation/moments.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

namespace sgan {
namespace {

constexpr int64_t kBlockRows = 1024;  // 16 MiB of float64 at D = 2048

}  // namespace

void MomentAccumulator::add(const torch::Tensor& features) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(features.dim() == 2 && features.size(1) > 0, "features must be (N, D), D > 0, got ", features.sizes());
  TORCH_CHECK(features.scalar_type() == torch::kFloat32 || features.scalar_type() == torch::kFloat64,
              "features must be float32 or float64, got ", features.scalar_type());
  TORCH_CHECK(!mean_.defined() || mean_.size(0) == features.size(1), "features must keep their size of ",
              mean_.defined() ? mean_.size(0) : 0, ", got ", features.sizes());
  for (const auto& block : features.split(kBlockRows)) {
    if (block.size(0) > 0) merge(block.to(torch::kFloat64));
  }
}

void MomentAccumulator::merge(const torch::Tensor& block) {
  TORCH_CHECK(block.isfinite().all().item<bool>(), "features must be finite");
  if (!mean_.defined()) {
    mean_ = at::zeros({block.size(1)}, block.options());
    deviations_ = at::zeros({block.size(1), block.size(1)}, block.options());
  }
  const auto block_mean = block.mean(0);
  const auto centred = block - block_mean;
  const auto difference = block_mean - mean_;
  const auto known = static_cast<double>(count_);
  const auto added = static_cast<double>(block.size(0));
  deviations_.addmm_(centred.t(), centred);
  deviations_.addr_(difference, difference, 1, known * added / (known + added));
  mean_.add_(difference, added / (known + added));
  count_ += block.size(0);
}

Moments MomentAccumulator::moments() const {
  TORCH_CHECK(count_ >= 2, "a covariance needs at least 2 rows of features, got ", count_);
  return {.count = count_, .mean = mean_.clone(), .covariance = deviations_ / static_cast<double>(count_ - 1)};
}

Moments moments_of(const torch::Tensor& features) {
  MomentAccumulator accumulator;
  accumulator.add(features);
  return accumulator.moments();
}

}  // namespace sgan
