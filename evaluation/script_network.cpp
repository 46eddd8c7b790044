#include "evaluation/script_network.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/utils.h>

#include <algorithm>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "configs/error.h"
#include "evaluation/image_input.h"
#include "run/file_descriptor.h"
#include "run/sha256.h"

namespace sgan {
namespace {

std::string hash_of(const std::filesystem::path& path) {
  FileDescriptor file(path, O_RDONLY);
  Sha256 digest;
  std::vector<char> buffer(size_t{1} << 20);
  while (const uint64_t count = file.read(buffer.data(), buffer.size())) digest.update({buffer.data(), count});
  return digest.hex();
}

// The file's name without its extension, fit to stand in another file's name.
std::string name_of(const std::filesystem::path& path) {
  std::string name = path.stem().string();
  std::ranges::replace_if(
      name, [](char c) { return std::string_view("/ \t\n\"'\\:*?<>|").find(c) != std::string_view::npos; }, '-');
  return name;
}

// What LibTorch says, without the stacks of C++ and of TorchScript before it.
std::string reason(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  const std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  const size_t last = text.rfind("\nRuntimeError: ");
  return last == std::string::npos ? text : text.substr(last + 1);
}

torch::jit::Module load_module(const std::filesystem::path& path, torch::Device device) {
  try {
    auto module = torch::jit::load(path.string(), device);
    module.eval();
    return module;
  } catch (const std::exception& error) {
    throw UserError(fmt::format(
        "{} cannot be loaded as a TorchScript module: {}\nSave the module with torch.jit.script(module).save(file); "
        "a state dict or a pickled module will not do.",
        path.string(), reason(error)));
  }
}

bool has_argument(const torch::jit::Module& module, const std::string& name) {
  const auto method = module.find_method("forward");
  return method && method->function().getSchema().argumentIndexWithName(name).has_value();
}

class ScriptNetwork final : public FeatureNetwork {
 public:
  ScriptNetwork(const std::filesystem::path& path, const ScriptNetworkOptions& options)
      : path_(path),
        options_(options),
        hash_(hash_of(path)),
        module_(load_module(path, options.device)),
        returns_features_(has_argument(module_, "return_features")),
        knows_classes_(has_argument(module_, "no_output_bias")) {
    if (!module_.find_method("forward")) {
      throw UserError(fmt::format("{} is a TorchScript module without a method forward", path.string()));
    }
    convention_ = options.convention.value_or(returns_features_ ? ScriptConvention::nvidia : ScriptConvention::generic);
    if (convention_ == ScriptConvention::nvidia && !returns_features_) {
      throw UserError(
          fmt::format("{} has no argument return_features in its forward, so it cannot be called as NVIDIA's "
                      "inception-2015-12-05.pt is: use the generic convention",
                      path.string()));
    }
  }

  Features operator()(const torch::Tensor& images) override {
    return features_in_batches(images, options_.batch, [this](const torch::Tensor& part) {
      const auto on_device = part.to(options_.device);
      return convention_ == ScriptConvention::nvidia ? run_nvidia(on_device) : run_generic(on_device);
    });
  }

  std::string name() const override { return name_of(path_); }
  std::string hash() const override { return hash_; }
  std::string protocol() const override {
    return convention_ == ScriptConvention::nvidia ? nvidia_protocol() : generic_protocol();
  }

 private:
  bool gives_probabilities() const { return options_.probabilities && knows_classes_; }

  Features run_nvidia(const torch::Tensor& images) {
    const auto rgb = to_rgb(images).contiguous();
    Features features{call(rgb, "return_features").flatten(1), {}};
    if (gives_probabilities()) features.probabilities = call(rgb, "no_output_bias").flatten(1);
    return features;
  }

  Features run_generic(const torch::Tensor& images) {
    auto input = (options_.repeat_grey ? to_rgb(images) : images).to(torch::kFloat32) / 255;
    if (options_.size > 0) input = resize_bilinear(input, options_.size);
    input = input * (options_.white - options_.black) + options_.black;
    const auto output = call(input.contiguous(), "");
    const bool pools = options_.pooling == ScriptPooling::mean && output.dim() > 2;
    return {pools ? output.flatten(2).mean(2) : output.flatten(1), {}};
  }

  // forward(input, flag=True)
  torch::Tensor call(const torch::Tensor& input, const std::string& flag) {
    torch::jit::Kwargs arguments;
    if (!flag.empty()) arguments.emplace(flag, true);
    const auto output = forward(input, arguments);
    if (!output.isTensor() || !output.toTensor().is_floating_point() || output.toTensor().dim() < 2 ||
        output.toTensor().size(0) != input.size(0)) {
      throw UserError(
          fmt::format("{} returned {} for {} images: a feature network returns one tensor (N, D, …) of "
                      "floats",
                      path_.string(), description(output), input.size(0)));
    }
    return output.toTensor();
  }

  torch::jit::IValue forward(const torch::Tensor& input, const torch::jit::Kwargs& arguments) {
    try {
      return module_.forward({input}, arguments);
    } catch (const std::exception& error) {
      throw UserError(fmt::format("{} fails on images {} [{}]: {}", path_.string(), c10::toString(input.scalar_type()),
                                  fmt::join(input.sizes().vec(), ", "), reason(error)));
    }
  }

  static std::string description(const torch::jit::IValue& value) {
    if (!value.isTensor()) return "a " + value.tagKind();
    const auto& tensor = value.toTensor();
    return fmt::format("{} [{}]", c10::toString(tensor.scalar_type()), fmt::join(tensor.sizes().vec(), ", "));
  }

  std::string nvidia_protocol() const {
    return fmt::format(
        "TorchScript {}: RGB of 0 to 255 in its own size, forward(x, return_features=True); the module resizes and "
        "scales; {}",
        path_.filename().string(),
        gives_probabilities() ? "probabilities: forward(x, no_output_bias=True)" : "no probabilities");
  }

  std::string generic_protocol() const {
    const std::string size =
        options_.size == 0
            ? "in its own size"
            : fmt::format("resized to {0}x{0} (bilinear, half-pixel centres, no antialiasing)", options_.size);
    return fmt::format("TorchScript {}: {} in [{}, {}], {}, forward(x), {}; no probabilities",
                       path_.filename().string(), options_.repeat_grey ? "RGB" : "grey or RGB", options_.black,
                       options_.white, size,
                       options_.pooling == ScriptPooling::mean ? "mean over positions" : "flattened");
  }

  std::filesystem::path path_;
  ScriptNetworkOptions options_;
  std::string hash_;
  torch::jit::Module module_;
  bool returns_features_;
  bool knows_classes_;
  ScriptConvention convention_ = ScriptConvention::generic;
};

}  // namespace

std::unique_ptr<FeatureNetwork> load_script_network(const std::filesystem::path& path,
                                                    const ScriptNetworkOptions& options) {
  return std::make_unique<ScriptNetwork>(path, options);
}

}  // namespace sgan
