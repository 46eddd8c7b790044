#include "models/dcgan.h"

#include <fmt/format.h>

#include <algorithm>

#include "configs/error.h"
#include "models/composed_network.h"

namespace sgan {
namespace {

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

// A layer has a bias unless the norm after it has one.
LayerOptions before(NormKind norm) {
  return {.bias = !replaces_bias(norm)};
}

constexpr Window kHalve{.kernel = 4, .stride = 2, .padding = 1};

}  // namespace

Network make_dcgan_generator(const GeneratorOptions& options, const SpectralOptions& spectral,
                             const std::vector<int64_t>& sample_shape) {
  const auto pyramid = pyramid_of(sample_shape);
  Composer net({options.latent, 1, 1}, options.weight, spectral);
  for (int64_t i = 0; i < pyramid.doublings; ++i) {
    const auto number = std::to_string(i);
    const auto window = i == 0 ? Window{.kernel = pyramid.base} : kHalve;
    net.conv_transpose("deconv" + number, width_at(options.channels, pyramid.doublings - 1 - i), window,
                       before(options.norm))
        .norm("norm" + number, options.norm)
        .activation(Activation::relu);
  }
  net.conv_transpose("deconv" + std::to_string(pyramid.doublings), sample_shape[0], kHalve)
      .activation(Activation::tanh);
  return net.finish(sample_shape);
}

Network make_dcgan_discriminator(const DiscriminatorOptions& options, const SpectralOptions& spectral,
                                 const std::vector<int64_t>& sample_shape) {
  const auto pyramid = pyramid_of(sample_shape);
  Composer net(sample_shape, options.weight, spectral);
  for (int64_t i = 0; i < pyramid.doublings; ++i) {
    const auto number = std::to_string(i);
    const auto norm = i == 0 ? NormKind::none : options.norm;
    net.conv("conv" + number, width_at(options.channels, i), kHalve, before(norm))
        .norm("norm" + number, norm)
        .activation(Activation::leaky_relu);
  }
  net.conv("conv" + std::to_string(pyramid.doublings), 1, {.kernel = pyramid.base});
  return net.finish({});
}

}  // namespace sgan
