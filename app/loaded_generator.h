#pragma once

#include <filesystem>
#include <string>

#include "models/network.h"

namespace sgan {

// A generator ready to draw from, made from a run folder's last checkpoint, from a checkpoint file alone, or from a
// quantized file.
struct LoadedGenerator {
  Config config;
  Network network;
  std::filesystem::path checkpoint;
  std::filesystem::path run;  // empty where a bare checkpoint file was given
  int64_t step = 0;
  bool averaged = false;  // EMA weights, or the raw ones
  std::string data = {};  // fingerprint() of what it was trained on
  std::vector<int64_t> sample_shape;

  // latents: (N, latent) → samples on the CPU, in batches of bounded size.
  torch::Tensor sample(const torch::Tensor& latents) const;
};

// run: a run folder, a checkpoint file or a file of `quantize`. step: which checkpoint of the folder, the last if
// absent. weights: "ema" or "raw"; "auto": those of the training grids (sample.weights). Errors: UserError.
LoadedGenerator load_trained_generator(const std::filesystem::path& run, std::optional<int64_t> step,
                                       const std::string& weights);

}  // namespace sgan
