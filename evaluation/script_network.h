#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "evaluation/feature_network.h"

namespace sgan {

// How a TorchScript module is called.
enum class ScriptConvention {
  generic,  // forward(x) → features
  nvidia    // forward(x, return_features=True) → features, as StyleGAN2-ADA's metrics call inception-2015-12-05.pt
};

// What a generic module's output (N, D, …) becomes where it has positions.
enum class ScriptPooling { mean, flatten };

struct ScriptNetworkOptions {
  // Unset: nvidia if the module's forward has an argument return_features, else generic.
  std::optional<ScriptConvention> convention = std::nullopt;

  // Of generic modules; the others get uint8 RGB of the images' own size, and resize and scale it themselves.
  double black = 0;         // what a pixel of 0 becomes …
  double white = 1;         // … and one of 255
  int64_t size = 0;         // pixels: images are resized bilinearly to size × size; 0 leaves them as they are
  bool repeat_grey = true;  // grey images come as three equal channels
  ScriptPooling pooling = ScriptPooling::mean;

  // Of nvidia modules with an argument no_output_bias: a second forward pass for the class probabilities.
  bool probabilities = true;

  torch::Device device = torch::kCPU;
  int64_t batch = 32;  // images at a time
};

// A TorchScript module (torch.jit.save) of the user's, in eval mode. The name is the file's, the hash that of its
// bytes. Such a file is a program: load only what you would run. Throws a UserError if there is no such file, if it is
// no TorchScript, if it has no forward for the convention, or, at the call, if it fails on the images or returns
// anything else than one tensor (N, …) of floats.
std::unique_ptr<FeatureNetwork> load_script_network(const std::filesystem::path& path,
                                                    const ScriptNetworkOptions& options = {});

}  // namespace sgan
