#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <torch/types.h>

#include "data/progress.h"

namespace sgan {

// The true modes of a planar mixture of equally likely, isotropic Gaussians.
struct PlanarModes {
  torch::Tensor centres;  // (K, 2) float64
  double std = 0.0;
};

class SampleFile;

// All samples of a training set, in CPU memory or, where they are streamed, in a file.
struct Dataset {
  std::string description;           // one line for logs
  torch::Tensor samples;             // images: uint8 (N, C, H, W), C = 1 grey or 3 RGB; points: float32 (N, 2)
  std::vector<int64_t> labels;       // a class index per sample, or empty
  std::vector<std::string> classes;  // names of the classes, or empty
  std::optional<PlanarModes> modes;  // where they are known
  int64_t skipped = 0;               // unreadable files left out
  std::string content_hash = {};     // fingerprint() of the samples as they were loaded, or empty
  // Where the samples are streamed, the file that deliver() reads; `samples` then maps the same bytes, and whoever
  // walks through it brings them into memory.
  std::shared_ptr<const SampleFile> file = {};

  int64_t size() const { return samples.size(0); }
  std::vector<int64_t> sample_shape() const { return samples.sizes().slice(1).vec(); }  // {C, H, W} or {2}
  bool planar() const { return samples.dim() == 2; }
};

// SHA-256 of the samples and their shape, in hex: the same data in the same order have the same one. Data that bring
// their content_hash are not read for it.
std::string fingerprint(const Dataset& dataset);

// Samples as networks take them, float32 on their device: image bytes (N, C, H, W) as x / 127.5 - 1 in [-1, 1], points
// as they are. flip: (N) bool on the same device, the images to mirror left to right, or undefined for none.
torch::Tensor as_network_input(const torch::Tensor& samples, const torch::Tensor& flip);

// The samples at `indices`, (N) int64 on the CPU, as network input on `device`. flip: on the CPU.
torch::Tensor deliver(const Dataset& dataset, const torch::Tensor& indices, const torch::Tensor& flip,
                      torch::Device device);

}  // namespace sgan
