#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>

namespace sgan {

// images: floats in [-1, 1], any shape → uint8 on the CPU, rounded; what lies outside is clamped.
torch::Tensor to_uint8(const torch::Tensor& images);

// images: (N, C, H, W) in [-1, 1], N ≥ 1, C = 1 or 3 → (H', W', C) uint8, row by row on a white ground, `padding`
// pixels around each. Images under 32 pixels, which nobody can judge on a screen, are enlarged by the least whole
// factor that makes both sides at least 32, each pixel becoming a square.
torch::Tensor image_grid(const torch::Tensor& images, int64_t columns, int64_t padding = 2);

// points: (N, 2) over reference: (M, 2), x to the right and y up, the square [-extent, extent]² → (pixels, pixels, 3)
// uint8. The reference is faint grey, the points blue, both antialiased. Points outside or not finite are not drawn.
torch::Tensor plot_points(const torch::Tensor& points, const torch::Tensor& reference, double extent,
                          int64_t pixels = 512);

// rgb: (H, W, 1 or 3) uint8, written whole or not at all.
void write_png(const std::filesystem::path& path, const torch::Tensor& rgb);

// What write_png wrote, as (H, W, 3) uint8. Errors: UserError where the file is missing or no image.
torch::Tensor read_png(const std::filesystem::path& path);

}  // namespace sgan
