#include "models/sn_cnn.h"

#include <fmt/format.h>

#include <array>

#include "configs/error.h"
#include "models/composed_network.h"

namespace sgan {
namespace {

constexpr double kSlope = 0.1;
constexpr Window kKeep{.kernel = 3, .padding = 1};
constexpr Window kHalve{.kernel = 4, .stride = 2, .padding = 1};

// Widths of the seven convolutions, in multiples of the base width.
using Widths = std::array<int64_t, 7>;
constexpr Widths kPaper = {1, 1, 2, 2, 4, 4, 8};
constexpr Widths kPublic = {1, 2, 2, 4, 4, 8, 8};

enum class FirstStage { linear_alone, linear_norm_relu };

// M of an image of 8·M pixels.
int64_t base_of(const std::vector<int64_t>& sample_shape) {
  TORCH_CHECK(sample_shape.size() == 3, "sn_cnn makes images (C, H, W), got ", sample_shape);
  const auto height = sample_shape[1];
  const auto width = sample_shape[2];
  if (height != width || width % 8 != 0 || width < 16) {
    throw UserError(fmt::format("sn_cnn cannot make images of {}×{} pixels: it needs squares of 16, 24, 32, 40, 48, … "
                                "pixels. Set data.size to one of these, or the networks' kind to dcgan or mlp.",
                                width, height),
                    UserError::Kind::usage);
  }
  return width / 8;
}

Network make_generator_of(FirstStage first, const GeneratorOptions& options, const SpectralOptions& spectral,
                          const std::vector<int64_t>& sample_shape) {
  const auto base = base_of(sample_shape);
  auto width = 8 * options.channels;
  Composer net({options.latent}, options.weight, spectral);
  net.linear("linear0", width * base * base).reshape({width, base, base});
  if (first == FirstStage::linear_norm_relu) net.norm("norm0", options.norm).activation(Activation::relu);
  for (const auto* number : {"1", "2", "3"}) {
    width /= 2;
    net.conv_transpose(std::string("deconv") + number, width, kHalve)
        .norm(std::string("norm") + number, options.norm)
        .activation(Activation::relu);
  }
  net.conv("conv4", sample_shape[0], kKeep).activation(Activation::tanh);
  return net.finish(sample_shape);
}

Network make_discriminator_of(const Widths& widths, const DiscriminatorOptions& options,
                              const SpectralOptions& spectral, const std::vector<int64_t>& sample_shape) {
  base_of(sample_shape);
  Composer net(sample_shape, options.weight, spectral);
  for (size_t i = 0; i < widths.size(); ++i) {
    const auto number = std::to_string(i);
    net.conv("conv" + number, widths[i] * options.channels, i % 2 == 0 ? kKeep : kHalve)
        .norm("norm" + number, i == 0 ? NormKind::none : options.norm)
        .activation(Activation::leaky_relu, kSlope);
  }
  net.linear("linear7", 1);
  return net.finish({});
}

}  // namespace

Network make_sn_cnn_generator(const GeneratorOptions& options, const SpectralOptions& spectral,
                              const std::vector<int64_t>& sample_shape) {
  return make_generator_of(FirstStage::linear_alone, options, spectral, sample_shape);
}

Network make_sn_cnn_discriminator(const DiscriminatorOptions& options, const SpectralOptions& spectral,
                                  const std::vector<int64_t>& sample_shape) {
  return make_discriminator_of(kPaper, options, spectral, sample_shape);
}

Network make_sn_cnn_public_generator(const GeneratorOptions& options, const SpectralOptions& spectral,
                                     const std::vector<int64_t>& sample_shape) {
  return make_generator_of(FirstStage::linear_norm_relu, options, spectral, sample_shape);
}

Network make_sn_cnn_public_discriminator(const DiscriminatorOptions& options, const SpectralOptions& spectral,
                                         const std::vector<int64_t>& sample_shape) {
  return make_discriminator_of(kPublic, options, spectral, sample_shape);
}

}  // namespace sgan
