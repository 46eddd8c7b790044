#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "evaluation/feature_network.h"

namespace sgan {

struct InceptionOptions {
  torch::Device device = torch::kCPU;
  int64_t batch = 32;  // images at a time, which take about 13 MB each
};

// Inception-v3 (Szegedy et al. 2016) as the Fréchet inception distance uses it: the definition of pytorch-fid, a port
// of TensorFlow's graph of 2015-12-05. It differs from torchvision's in the average pools, which leave the padding out
// of the mean, in the max pool of Mixed_7c and in having 1008 classes. Values: the 2048 means over positions after
// Mixed_7c. Probabilities: the softmax of the logits *without* their bias, as the inception score has always been
// computed.
//
// state: torchvision's names and shapes (Conv2d_1a_3x3.conv.weight, …bn.running_var, fc.weight), all of them and no
// others but AuxLogits.* and *.num_batches_tracked, which are ignored. The hash is that of the tensors used, whatever
// file they come from. Throws a UserError that begins with `source` and lists what is missing, unknown or of another
// shape.
std::unique_ptr<FeatureNetwork> make_inception(const std::map<std::string, torch::Tensor>& state,
                                               const InceptionOptions& options = {},
                                               const std::string& source = "the given state");

// The same from a safetensors file, which scripts/convert-inception makes of pytorch-fid's weights. Throws a UserError
// that says where to get them if there is no such file, and how to convert them if it is PyTorch's pickle.
std::unique_ptr<FeatureNetwork> load_inception(const std::filesystem::path& weights,
                                               const InceptionOptions& options = {});

}  // namespace sgan
