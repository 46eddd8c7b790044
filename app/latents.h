#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "configs/options.h"

namespace sgan {

// first, first + 1, … : `count` seeds.
std::vector<int64_t> seed_range(int64_t first, int64_t count);

// "0-63", "7", "1,5,20-23" → seeds in that order. Errors: UserError (usage).
std::vector<int64_t> parse_seeds(const std::string& text);

// One latent per seed from the generator's prior, (N, latent) on the CPU. A seed means the same latent in every run and
// in every grid, so the pictures of different strategies can be compared one by one.
torch::Tensor seed_latents(const std::vector<int64_t>& seeds, const GeneratorOptions& generator);

// `frames` latents from a to b, each (latent). Normal ones go along the great circle (Shoemake 1985), where a Gaussian
// has its mass; uniform ones along the straight line, which stays inside the cube.
torch::Tensor interpolate_latents(const torch::Tensor& a, const torch::Tensor& b, int64_t frames, Prior prior);

}  // namespace sgan
