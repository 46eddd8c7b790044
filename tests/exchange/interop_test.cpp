#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <cstdlib>

#include "exchange/onnx_model.h"
#include "exchange/python_module.h"
#include "run/atomic_file.h"
#include "run/tensor_file.h"
#include "tests/models/seeded_network.h"

namespace sgan {
namespace {

// Networks of every architecture, parametrization, norm and quantizer, small.
struct Case {
  std::string name;
  Config config;
  std::vector<int64_t> shape;
  bool generator;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  const auto add = [&](const std::string& name, const Config& config, const std::vector<int64_t>& shape,
                       bool generator) {
    all.push_back({name + (generator ? "_generator" : "_critic"), config, shape, generator});
  };
  for (const auto& [kind, kind_name] : Names<NetworkKind>::table) {
    for (const int64_t size : {32, 48, 64, 128}) {
      if (kind != NetworkKind::sn_resnet && size > 48) continue;
      auto config = network_config(kind, NormKind::batch, WeightKind::none);
      config.generator.channels = config.discriminator.channels = 2;
      config.discriminator.norm = NormKind::none;
      const auto name = fmt::format("{}_{}", kind_name, size);
      add(name, config, {3, size, size}, true);
      add(name, config, {3, size, size}, false);
    }
  }
  const auto planar = network_config(NetworkKind::mlp, NormKind::none, WeightKind::none);
  add("points", planar, {2}, true);
  add("points", planar, {2}, false);
  for (const auto& [weight, name] : Names<WeightKind>::table) {
    add(fmt::format("weight_{}", name), network_config(NetworkKind::dcgan, NormKind::none, weight), {1, 16, 16}, false);
    add(fmt::format("weight_{}", name), network_config(NetworkKind::dcgan, NormKind::batch, weight), {1, 16, 16}, true);
  }
  for (const auto& [norm, name] : Names<NormKind>::table) {
    add(fmt::format("norm_{}", name), network_config(NetworkKind::dcgan, norm, WeightKind::spectral), {1, 16, 16},
        false);
    if (norm == NormKind::instance) continue;
    add(fmt::format("flat_norm_{}", name), network_config(NetworkKind::mlp, norm, WeightKind::none), {1, 16, 16}, true);
  }
  for (const auto& [quantizer, name] : Names<QuantizerKind>::table) {
    auto config = network_config(NetworkKind::sn_cnn, NormKind::batch, WeightKind::none);
    config.generator.quantizer = quantizer;
    config.quantizer.activation_bits = quantizer == QuantizerKind::none ? 0 : 4;
    add(fmt::format("quantizer_{}", name), config, {1, 16, 16}, true);
  }
  return all;
}

// For tests/exchange/interop/interop_test.py, which runs what lies in the folder: <name>.onnx, <name>.py with
// <name>.safetensors, and <name>.expected.safetensors with what the network here makes of an input.
TEST(Interop, WritesEveryNetwork) {
  const char* folder = std::getenv("SGAN_INTEROP_DIR");
  if (folder == nullptr) GTEST_SKIP() << "SGAN_INTEROP_DIR names no folder to write to";
  torch::NoGradGuard no_grad;
  for (const auto& [name, config, shape, generator] : cases()) {
    SCOPED_TRACE(name);
    const auto network = generator ? make_generator(config, shape) : make_discriminator(config, shape);
    initialize(*network, 7);
    const std::vector<int64_t> input_shape = generator ? std::vector<int64_t>{config.generator.latent} : shape;
    auto batch = input_shape;
    batch.insert(batch.begin(), 5);
    network->forward(draw_normal(batch, 1), Mode::train);  // moves the running statistics
    for (auto& parameter : network->parameters()) {
      if (parameter.dim() == 1) parameter.add_(0.1 * draw_normal(parameter.sizes().vec(), 2));
    }
    const auto input = draw_normal(batch, 3);
    const std::string samples = shape.size() == 3 ? "images" : "points";
    const NetworkSignature signature = generator
                                           ? NetworkSignature{"generator", "latent", input_shape, samples, shape}
                                           : NetworkSignature{"discriminator", samples, input_shape, "critic", {}};
    const auto plain = plain_network(*network);
    const auto path = [&](const std::string& ending) { return std::filesystem::path(folder) / (name + ending); };
    write_file_atomically(path(".onnx"), onnx_model(*network, plain, signature, {{"case", name}}));
    write_file_atomically(path(".py"), python_module(*network, signature, name));
    save_tensors(path(".safetensors"), {plain.tensors, {}});
    save_tensors(path(".expected.safetensors"),
                 {{{"input", input}, {"output", network->forward(input, Mode::eval)}}, {}});
  }
}

}  // namespace
}  // namespace sgan
