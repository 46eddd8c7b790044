#include "evaluation/inception.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "configs/error.h"
#include "evaluation/image_input.h"
#include "run/file_descriptor.h"
#include "run/sha256.h"
#include "run/tensor_file.h"

namespace sgan {
namespace {

using State = std::map<std::string, torch::Tensor>;
using Shapes = std::map<std::string, std::vector<int64_t>>;

constexpr int64_t kImageSize = 299;
constexpr int64_t kClasses = 1008;
constexpr double kBatchNormEps = 1e-3;
constexpr const char* kOriginal = "pt_inception-2015-12-05-6726825d.pth";

struct Kernel {
  int64_t height, width;
};

constexpr Kernel kOne{1, 1};
constexpr Kernel kThree{3, 3};
constexpr Kernel kFive{5, 5};
constexpr Kernel kThreeWide{1, 3};
constexpr Kernel kThreeHigh{3, 1};
constexpr Kernel kSevenWide{1, 7};
constexpr Kernel kSevenHigh{7, 1};

enum class Operation { convolution, average_pool, max_pool, split };

// One node of the network, which is a tree: a split feeds its input to every branch and concatenates their channels.
struct Step {
  Operation operation;
  std::string name = {};  // of a convolution or block; a fork inside a block has none
  int64_t channels = 0;   // that a convolution makes
  Kernel kernel = kThree;
  int64_t stride = 1;
  bool padded = true;  // so that stride 1 keeps the size
  std::vector<std::vector<Step>> branches = {};
  torch::Tensor weight = {};  // of a convolution, with its batch norm folded in
  torch::Tensor bias = {};

  std::array<int64_t, 2> padding() const {
    return padded ? std::array{kernel.height / 2, kernel.width / 2} : std::array<int64_t, 2>{0, 0};
  }
};

using Steps = std::vector<Step>;

// A convolution is followed by batch norm and ReLU.
Step conv(std::string name, int64_t channels, Kernel kernel) {
  return {.operation = Operation::convolution, .name = std::move(name), .channels = channels, .kernel = kernel};
}

Step unpadded(std::string name, int64_t channels, int64_t stride) {
  Step step = conv(std::move(name), channels, kThree);
  step.stride = stride;
  step.padded = false;
  return step;
}

Step average_pool() {
  return {.operation = Operation::average_pool};
}

Step max_pool() {
  return {.operation = Operation::max_pool};
}

Step halving_max_pool() {
  return {.operation = Operation::max_pool, .stride = 2, .padded = false};
}

Step split(std::string name, std::vector<Steps> branches) {
  return {.operation = Operation::split, .name = std::move(name), .branches = std::move(branches)};
}

// 35×35 positions.
Step block_a(std::string name, int64_t pooled) {
  return split(std::move(name), {{conv("branch1x1", 64, kOne)},
                                 {conv("branch5x5_1", 48, kOne), conv("branch5x5_2", 64, kFive)},
                                 {conv("branch3x3dbl_1", 64, kOne), conv("branch3x3dbl_2", 96, kThree),
                                  conv("branch3x3dbl_3", 96, kThree)},
                                 {average_pool(), conv("branch_pool", pooled, kOne)}});
}

// 35×35 → 17×17.
Step block_b(std::string name) {
  return split(std::move(name), {{unpadded("branch3x3", 384, 2)},
                                 {conv("branch3x3dbl_1", 64, kOne), conv("branch3x3dbl_2", 96, kThree),
                                  unpadded("branch3x3dbl_3", 96, 2)},
                                 {halving_max_pool()}});
}

// 17×17.
Step block_c(std::string name, int64_t width) {
  return split(std::move(name), {{conv("branch1x1", 192, kOne)},
                                 {conv("branch7x7_1", width, kOne), conv("branch7x7_2", width, kSevenWide),
                                  conv("branch7x7_3", 192, kSevenHigh)},
                                 {conv("branch7x7dbl_1", width, kOne), conv("branch7x7dbl_2", width, kSevenHigh),
                                  conv("branch7x7dbl_3", width, kSevenWide), conv("branch7x7dbl_4", width, kSevenHigh),
                                  conv("branch7x7dbl_5", 192, kSevenWide)},
                                 {average_pool(), conv("branch_pool", 192, kOne)}});
}

// 17×17 → 8×8.
Step block_d(std::string name) {
  return split(std::move(name), {{conv("branch3x3_1", 192, kOne), unpadded("branch3x3_2", 320, 2)},
                                 {conv("branch7x7x3_1", 192, kOne), conv("branch7x7x3_2", 192, kSevenWide),
                                  conv("branch7x7x3_3", 192, kSevenHigh), unpadded("branch7x7x3_4", 192, 2)},
                                 {halving_max_pool()}});
}

// 8×8.
Step block_e(std::string name, Step pool) {
  const auto fork = [](const std::string& wide, const std::string& high) {
    return split("", {{conv(wide, 384, kThreeWide)}, {conv(high, 384, kThreeHigh)}});
  };
  return split(std::move(name), {{conv("branch1x1", 320, kOne)},
                                 {conv("branch3x3_1", 384, kOne), fork("branch3x3_2a", "branch3x3_2b")},
                                 {conv("branch3x3dbl_1", 448, kOne), conv("branch3x3dbl_2", 384, kThree),
                                  fork("branch3x3dbl_3a", "branch3x3dbl_3b")},
                                 {std::move(pool), conv("branch_pool", 192, kOne)}});
}

Steps inception_steps() {
  return {
      unpadded("Conv2d_1a_3x3", 32, 2),
      unpadded("Conv2d_2a_3x3", 32, 1),
      conv("Conv2d_2b_3x3", 64, kThree),
      halving_max_pool(),
      conv("Conv2d_3b_1x1", 80, kOne),
      unpadded("Conv2d_4a_3x3", 192, 1),
      halving_max_pool(),
      block_a("Mixed_5b", 32),
      block_a("Mixed_5c", 64),
      block_a("Mixed_5d", 64),
      block_b("Mixed_6a"),
      block_c("Mixed_6b", 128),
      block_c("Mixed_6c", 160),
      block_c("Mixed_6d", 160),
      block_c("Mixed_6e", 192),
      block_d("Mixed_7a"),
      block_e("Mixed_7b", average_pool()),
      block_e("Mixed_7c", max_pool()),  // an average in the paper, but the published graph takes the maximum
  };
}

struct Layer {
  Step* convolution;
  std::string name;
  int64_t channels;  // that it reads
};

// Appends every convolution of `steps`, which read `channels`, and returns how many channels they make.
int64_t collect_layers(Steps& steps, const std::string& prefix, int64_t channels, std::vector<Layer>& layers) {
  for (Step& step : steps) {
    if (step.operation == Operation::convolution) {
      layers.push_back({&step, prefix + step.name, channels});
      channels = step.channels;
    } else if (step.operation == Operation::split) {
      const std::string inner = step.name.empty() ? prefix : prefix + step.name + ".";
      int64_t sum = 0;
      for (Steps& branch : step.branches) sum += collect_layers(branch, inner, channels, layers);
      channels = sum;
    }
  }
  return channels;
}

Shapes shapes_of(const std::vector<Layer>& layers, int64_t features) {
  Shapes shapes{{"fc.weight", {kClasses, features}}, {"fc.bias", {kClasses}}};
  for (const auto& [step, name, channels] : layers) {
    shapes[name + ".conv.weight"] = {step->channels, channels, step->kernel.height, step->kernel.width};
    for (const char* vector : {"weight", "bias", "running_mean", "running_var"}) {
      shapes[name + ".bn." + vector] = {step->channels};
    }
  }
  return shapes;
}

bool is_ignored(const std::string& name) {
  return name.starts_with("AuxLogits.") || name.ends_with(".num_batches_tracked");
}

// "3 tensors are <what> (a, b, …)", added to `problems` if there are any.
void add_problem(std::vector<std::string>& problems, const std::vector<std::string>& names, std::string_view what) {
  constexpr size_t kShown = 5;
  if (names.empty()) return;
  const auto shown = std::vector(names.begin(), names.begin() + static_cast<int64_t>(std::min(names.size(), kShown)));
  problems.push_back(fmt::format("{} tensor{} {} ({}{})", names.size(), names.size() == 1 ? " is" : "s are", what,
                                 fmt::join(shown, ", "), names.size() > kShown ? ", …" : ""));
}

void check_state(const State& state, const Shapes& shapes, const std::string& source) {
  std::vector<std::string> missing, misshapen, unknown, problems;
  for (const auto& [name, shape] : shapes) {
    const auto found = state.find(name);
    if (found == state.end()) {
      missing.push_back(name);
    } else if (found->second.sizes() != shape || !found->second.is_floating_point()) {
      misshapen.push_back(fmt::format("{}: {} [{}], not a float [{}]", name, c10::toString(found->second.scalar_type()),
                                      fmt::join(found->second.sizes().vec(), ", "), fmt::join(shape, ", ")));
    }
  }
  for (const auto& [name, tensor] : state) {
    if (!shapes.contains(name) && !is_ignored(name)) unknown.push_back(name);
  }
  add_problem(problems, missing, "missing");
  add_problem(problems, misshapen, "of another shape");
  add_problem(problems, unknown, "unknown");
  if (problems.empty()) return;
  throw UserError(fmt::format(
      "{} does not hold the weights of FID's Inception: {}. Use {}, converted by scripts/convert-inception; "
      "torchvision's own Inception, with 1000 classes, is another network.",
      source, fmt::join(problems, "; "), kOriginal));
}

// Names, shapes and float32 values: the same for the same weights, in whatever file and precision they were stored.
std::string hash_of(const State& state, const Shapes& shapes) {
  Sha256 digest;
  for (const auto& [name, shape] : shapes) {
    const auto values = state.at(name).detach().to(torch::kCPU, torch::kFloat32).contiguous();
    digest.update(fmt::format("{} [{}]\n", name, fmt::join(shape, ", ")));
    digest.update({static_cast<const char*>(values.const_data_ptr()), values.nbytes()});
  }
  return digest.hex();
}

// γ (W x − μ) / √(σ² + ε) + β as one convolution.
void fold(const Layer& layer, const State& state, torch::Device device) {
  const auto read = [&](const char* name) {
    return state.at(layer.name + name).detach().to(torch::kCPU, torch::kDouble);
  };
  const auto gain = read(".bn.weight") / (read(".bn.running_var") + kBatchNormEps).sqrt();
  const auto weight = read(".conv.weight") * gain.view({-1, 1, 1, 1});
  const auto bias = read(".bn.bias") - read(".bn.running_mean") * gain;
  layer.convolution->weight = weight.to(device, torch::kFloat32).contiguous(at::MemoryFormat::ChannelsLast);
  layer.convolution->bias = bias.to(device, torch::kFloat32);
}

torch::Tensor apply(const Steps& steps, torch::Tensor x);

torch::Tensor apply(const Step& step, const torch::Tensor& x) {
  const std::array<int64_t, 2> stride{step.stride, step.stride};
  const std::array<int64_t, 2> window{step.kernel.height, step.kernel.width};
  switch (step.operation) {
    case Operation::convolution:
      return at::conv2d(x, step.weight, step.bias, stride, step.padding()).relu_();
    case Operation::average_pool:
      return at::avg_pool2d(x, window, stride, step.padding(), /*ceil_mode=*/false, /*count_include_pad=*/false);
    case Operation::max_pool:
      return at::max_pool2d(x, window, stride, step.padding());
    case Operation::split: {
      std::vector<torch::Tensor> parts;
      for (const Steps& branch : step.branches) parts.push_back(apply(branch, x));
      return at::cat(parts, 1);
    }
  }
  TORCH_CHECK(false, "no operation ", static_cast<int>(step.operation));
}

torch::Tensor apply(const Steps& steps, torch::Tensor x) {
  for (const Step& step : steps) x = apply(step, x);
  return x;
}

class Inception final : public FeatureNetwork {
 public:
  Inception(const State& state, const InceptionOptions& options, const std::string& source)
      : options_(options), steps_(inception_steps()) {
    torch::NoGradGuard no_grad;
    std::vector<Layer> layers;
    const int64_t features = collect_layers(steps_, "", 3, layers);
    const Shapes shapes = shapes_of(layers, features);
    check_state(state, shapes, source);
    hash_ = hash_of(state, shapes);
    for (const Layer& layer : layers) fold(layer, state, options.device);
    classes_ =
        state.at("fc.weight").detach().to(options.device, torch::kFloat32, /*non_blocking=*/false, /*copy=*/true);
  }

  Features operator()(const torch::Tensor& images) override {
    return features_in_batches(images, options_.batch, [this](const torch::Tensor& part) { return run(part); });
  }

  std::string name() const override { return "inception"; }
  std::string hash() const override { return hash_; }
  std::string protocol() const override {
    return "Inception-v3 as defined by pytorch-fid, float32: RGB in [0, 1], resized to 299x299 (bilinear, half-pixel "
           "centres, no antialiasing), then 2x - 1; values: 2048 means over positions after Mixed_7c; probabilities: "
           "softmax of 1008 logits without bias";
  }

 private:
  Features run(const torch::Tensor& images) const {
    const auto unit = to_rgb(images.to(options_.device)).to(torch::kFloat32) / 255;
    const auto input = (resize_bilinear(unit, kImageSize) * 2 - 1).contiguous(at::MemoryFormat::ChannelsLast);
    const auto values = apply(steps_, input).mean({2, 3});
    return {values, at::linear(values, classes_).softmax(1)};
  }

  InceptionOptions options_;
  Steps steps_;
  torch::Tensor classes_;  // (1008, 2048)
  std::string hash_;
};

// What torch.save writes: a zip archive, or a pickle of old.
bool is_pytorch_file(const std::filesystem::path& path) {
  std::array<char, 4> start{};
  FileDescriptor(path, O_RDONLY).read(start.data(), start.size());
  const std::string_view magic(start.data(), start.size());
  return magic == "PK\x03\x04" || magic == "\x80\x02\x8a\x0a";
}

}  // namespace

std::unique_ptr<FeatureNetwork> make_inception(const State& state, const InceptionOptions& options,
                                               const std::string& source) {
  return std::make_unique<Inception>(state, options, source);
}

std::unique_ptr<FeatureNetwork> load_inception(const std::filesystem::path& weights, const InceptionOptions& options) {
  constexpr const char* kConversion = "scripts/convert-inception {} inception.safetensors";
  std::error_code error;
  if (std::filesystem::status(weights, error).type() == std::filesystem::file_type::not_found) {
    throw UserError(fmt::format(
        "there is no file {}: it should hold the weights of Inception-v3 that FID is defined by, which this program "
        "does not ship. Download {} from the release fid_weights of github.com/mseitzer/pytorch-fid and convert it: {}",
        weights.string(), kOriginal, fmt::format(kConversion, kOriginal)));
  }
  if (is_pytorch_file(weights)) {
    throw UserError(fmt::format(
        "{} is a file of PyTorch's, which this program does not unpickle: convert it with {}. A TorchScript module, as "
        "NVIDIA's inception-2015-12-05.pt is, cannot be converted: use it as a TorchScript network.",
        weights.string(), fmt::format(kConversion, weights.string())));
  }
  return make_inception(load_tensors(weights).tensors, options, weights.string());
}

}  // namespace sgan
