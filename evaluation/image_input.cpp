#include "evaluation/image_input.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/utils.h>

#include <vector>

namespace sgan {
namespace {

void check_images(const torch::Tensor& images) {
  TORCH_CHECK(
      images.dim() == 4 && (images.size(1) == 1 || images.size(1) == 3) && images.scalar_type() == torch::kUInt8,
      "a feature network takes uint8 images (N, 1 or 3, H, W), got ", images.scalar_type(), " ", images.sizes());
}

torch::Tensor as_result(const torch::Tensor& tensor) {
  return tensor.detach().to(torch::kCPU, torch::kFloat32);
}

}  // namespace

torch::Tensor to_rgb(const torch::Tensor& images) {
  check_images(images);
  return images.expand({-1, 3, -1, -1});
}

torch::Tensor resize_bilinear(const torch::Tensor& images, int64_t size) {
  return at::upsample_bilinear2d(images, {size, size}, /*align_corners=*/false);
}

Features features_in_batches(const torch::Tensor& images, int64_t batch,
                             const std::function<Features(const torch::Tensor&)>& network) {
  check_images(images);
  TORCH_CHECK(batch > 0, "a batch holds at least one image, got ", batch);
  torch::NoGradGuard no_grad;
  const at::NoTF32Guard no_tf32;
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  std::vector<torch::Tensor> values;
  std::vector<torch::Tensor> probabilities;
  for (const auto& part : images.split(batch)) {
    const auto answer = network(part);
    values.push_back(as_result(answer.values));
    if (answer.probabilities.defined()) probabilities.push_back(as_result(answer.probabilities));
  }
  return {at::cat(values), probabilities.empty() ? torch::Tensor() : at::cat(probabilities)};
}

}  // namespace sgan
