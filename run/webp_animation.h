#pragma once

#include <torch/types.h>

#include <filesystem>
#include <vector>

namespace sgan {

// Writes a looping animated WebP, lossless, whole or not at all. frames: (H, W, 1 or 3) uint8, all of one size, at
// least one; durations_ms: one per frame. Errors: UserError where sizes differ or the file cannot be written.
void write_webp_animation(const std::filesystem::path& path, const std::vector<torch::Tensor>& frames,
                          const std::vector<int64_t>& durations_ms);

}  // namespace sgan
