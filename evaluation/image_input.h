#pragma once

#include <torch/types.h>

#include <functional>

#include "evaluation/feature_network.h"

namespace sgan {

// images: (N, C, H, W) uint8, C = 1 grey or 3 RGB → (N, 3, H, W) uint8; grey stands in all three channels.
torch::Tensor to_rgb(const torch::Tensor& images);

// images: (N, C, H, W) floating → (N, C, size, size), bilinear with half-pixel centres and without antialiasing:
// PyTorch's interpolate with align_corners = false, which most published scores were computed with. Widely scaled down,
// an image keeps only the pixels next to the sampled places.
torch::Tensor resize_bilinear(const torch::Tensor& images, int64_t size);

// images: (N, C, H, W) uint8, C = 1 or 3. Calls `network` with at most `batch` of them at a time and puts its answers
// one below the other, as float32 on the CPU. No graph; float32 products are float32's (no TF32, no autocast).
Features features_in_batches(const torch::Tensor& images, int64_t batch,
                             const std::function<Features(const torch::Tensor&)>& network);

}  // namespace sgan
