#pragma once

#include <ATen/core/Generator.h>
#include <torch/types.h>

#include "configs/options.h"

namespace sgan {

// `count` latents from the generator's prior, float32 (count, latent) on `device`, which `random` must be of.
torch::Tensor draw_latents(const GeneratorOptions& options, int64_t count, at::Generator random, torch::Device device);

}  // namespace sgan
