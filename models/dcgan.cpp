#include "models/dcgan.h"

#include <fmt/format.h>

#include <algorithm>

#include "configs/error.h"
#include "models/sequential_network.h"

namespace sgan {
namespace {

using Stage = SequentialNetworkImpl::StageOptions;

constexpr int64_t kWidthLimit = 8;  // multiples of the base width

// An image size as base · 2^doublings.
struct Pyramid {
  int64_t base;
  int64_t doublings;
};

Pyramid pyramid_of(const std::vector<int64_t>& sample_shape) {
  TORCH_CHECK(sample_shape.size() == 3, "dcgan makes images (C, H, W), got ", sample_shape);
  const auto height = sample_shape[1];
  const auto width = sample_shape[2];
  Pyramid pyramid{width, 0};
  while (pyramid.base >= 8 && pyramid.base % 2 == 0) pyramid = {pyramid.base / 2, pyramid.doublings + 1};
  if (height != width || pyramid.doublings == 0 || pyramid.base > 7) {
    throw UserError(
        fmt::format("dcgan cannot make images of {}×{} pixels: it needs squares of M·2^k pixels with M from "
                    "4 to 7 and k ≥ 1 (8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96, 128, 256, …). "
                    "Resize the images, or set generator.kind and discriminator.kind to mlp.",
                    width, height),
        UserError::Kind::usage);
  }
  return pyramid;
}

int64_t width_at(int64_t channels, int64_t doublings) {
  return channels * std::min(kWidthLimit, int64_t{1} << std::min<int64_t>(doublings, 8));
}

}  // namespace

Network make_dcgan_generator(const GeneratorOptions& options, const SpectralOptions& spectral,
                             const std::vector<int64_t>& sample_shape) {
  const auto pyramid = pyramid_of(sample_shape);
  std::vector<Stage> stages;
  auto width = width_at(options.channels, pyramid.doublings - 1);
  stages.push_back({.suffix = "0",
                    .geometry = {.kind = OperatorKind::conv_transpose,
                                 .in_channels = options.latent,
                                 .out_channels = width,
                                 .kernel = pyramid.base},
                    .norm = options.norm,
                    .activation = Activation::relu,
                    .weight = options.weight});
  for (int64_t i = 1; i <= pyramid.doublings; ++i) {
    const bool is_last = i == pyramid.doublings;
    const auto next = is_last ? sample_shape[0] : width_at(options.channels, pyramid.doublings - 1 - i);
    stages.push_back({.suffix = std::to_string(i),
                      .geometry = {.kind = OperatorKind::conv_transpose,
                                   .in_channels = width,
                                   .out_channels = next,
                                   .kernel = 4,
                                   .stride = 2,
                                   .padding = 1,
                                   .in_size = pyramid.base << (i - 1)},
                      .norm = is_last ? NormKind::none : options.norm,
                      .activation = is_last ? Activation::tanh : Activation::relu,
                      .weight = options.weight});
    width = next;
  }
  return std::make_shared<SequentialNetworkImpl>(Initialization::normal, stages, sample_shape, spectral);
}

Network make_dcgan_discriminator(const DiscriminatorOptions& options, const SpectralOptions& spectral,
                                 const std::vector<int64_t>& sample_shape) {
  const auto pyramid = pyramid_of(sample_shape);
  std::vector<Stage> stages;
  auto width = sample_shape[0];
  for (int64_t i = 0; i < pyramid.doublings; ++i) {
    const auto next = width_at(options.channels, i);
    stages.push_back({.suffix = std::to_string(i),
                      .geometry = {.kind = OperatorKind::conv,
                                   .in_channels = width,
                                   .out_channels = next,
                                   .kernel = 4,
                                   .stride = 2,
                                   .padding = 1,
                                   .in_size = pyramid.base << (pyramid.doublings - i)},
                      .norm = i == 0 ? NormKind::none : options.norm,
                      .activation = Activation::leaky_relu,
                      .weight = options.weight});
    width = next;
  }
  stages.push_back({.suffix = std::to_string(pyramid.doublings),
                    .geometry = {.kind = OperatorKind::conv,
                                 .in_channels = width,
                                 .out_channels = 1,
                                 .kernel = pyramid.base,
                                 .in_size = pyramid.base},
                    .weight = options.weight});
  return std::make_shared<SequentialNetworkImpl>(Initialization::normal, stages, std::vector<int64_t>{}, spectral);
}

}  // namespace sgan
