#include "models/sn_resnet.h"

#include <fmt/format.h>

#include "configs/error.h"
#include "models/composed_network.h"

namespace sgan {
namespace {

constexpr Window kOne{.kernel = 1};
constexpr Window kThree{.kernel = 3, .padding = 1};
constexpr LayerOptions kBranch{.initial = Initialization::glorot_relu};
constexpr LayerOptions kPlain{.initial = Initialization::glorot};

struct Block {
  int64_t width;
  bool halves = true;
};

// The networks for one image size; widths in multiples of the base width.
struct Layout {
  int64_t size;
  int64_t base;                   // pixels that the first layer makes
  int64_t first_width;            // of them
  std::vector<int64_t> doubling;  // widths of the generator's blocks
  std::vector<Block> judging;     // the discriminator's blocks
  bool last_bias;
};

const Layout& layout_of(const std::vector<int64_t>& sample_shape) {
  static const std::vector<Layout> layouts = {
      {32, 4, 4, {4, 4, 4}, {{2}, {2}, {2, false}, {2, false}}, false},
      {48, 6, 8, {4, 2, 1}, {{1}, {2}, {4}, {8}, {16, false}}, true},
      {64, 4, 16, {8, 4, 2, 1}, {{1}, {2}, {4}, {8}, {16}}, true},
      {128, 4, 16, {16, 8, 4, 2, 1}, {{1}, {2}, {4}, {8}, {16}, {16, false}}, true},
  };
  TORCH_CHECK(sample_shape.size() == 3, "sn_resnet makes images (C, H, W), got ", sample_shape);
  for (const auto& layout : layouts) {
    if (sample_shape[1] == layout.size && sample_shape[2] == layout.size) return layout;
  }
  throw UserError(
      fmt::format("sn_resnet cannot make images of {}×{} pixels: it has networks for 32, 48, 64 and 128. Set "
                  "data.size to one of these, or the networks' kind to sn_cnn or dcgan.",
                  sample_shape[2], sample_shape[1]),
      UserError::Kind::usage);
}

void add_generator_block(Composer& net, const std::string& name, int64_t width, NormKind norm) {
  const auto branch = [&](Composer& part) {
    part.norm(name + ".norm0", norm)
        .activation(Activation::relu)
        .upsample()
        .conv(name + ".conv0", width, kThree, kBranch)
        .norm(name + ".norm1", norm)
        .activation(Activation::relu)
        .conv(name + ".conv1", width, kThree, kBranch);
  };
  const auto shortcut = [&](Composer& part) { part.upsample().conv(name + ".shortcut", width, kOne, kPlain); };
  net.residual(name, branch, shortcut);
}

void add_first_discriminator_block(Composer& net, const std::string& name, int64_t width) {
  const auto branch = [&](Composer& part) {
    part.conv(name + ".conv0", width, kThree, kBranch)
        .activation(Activation::relu)
        .conv(name + ".conv1", width, kThree, kBranch)
        .average_pool();
  };
  const auto shortcut = [&](Composer& part) { part.average_pool().conv(name + ".shortcut", width, kOne, kPlain); };
  net.residual(name, branch, shortcut);
}

void add_discriminator_block(Composer& net, const std::string& name, int64_t width, bool halves, NormKind norm) {
  const auto inner_width = net.shape()[0];
  const auto branch = [&](Composer& part) {
    part.norm(name + ".norm0", norm)
        .activation(Activation::relu)
        .conv(name + ".conv0", inner_width, kThree, kBranch)
        .norm(name + ".norm1", norm)
        .activation(Activation::relu)
        .conv(name + ".conv1", width, kThree, kBranch);
    if (halves) part.average_pool();
  };
  const auto shortcut = [&](Composer& part) {
    if (halves || width != inner_width) part.conv(name + ".shortcut", width, kOne, kPlain);
    if (halves) part.average_pool();
  };
  net.residual(name, branch, shortcut);
}

}  // namespace

Network make_sn_resnet_generator(const GeneratorOptions& options, const SpectralOptions& spectral,
                                 const std::vector<int64_t>& sample_shape) {
  const auto& layout = layout_of(sample_shape);
  const auto first_width = layout.first_width * options.channels;
  Composer net({options.latent}, options.weight, spectral);
  net.linear("linear0", first_width * layout.base * layout.base, kPlain)
      .reshape({first_width, layout.base, layout.base});
  for (size_t i = 0; i < layout.doubling.size(); ++i) {
    add_generator_block(net, fmt::format("block{}", i + 1), layout.doubling[i] * options.channels, options.norm);
  }
  const auto last = std::to_string(layout.doubling.size() + 1);
  net.norm("norm" + last, options.norm)
      .activation(Activation::relu)
      .conv("conv" + last, sample_shape[0], kThree, kPlain)
      .activation(Activation::tanh);
  return net.finish(sample_shape);
}

Network make_sn_resnet_discriminator(const DiscriminatorOptions& options, const SpectralOptions& spectral,
                                     const std::vector<int64_t>& sample_shape) {
  const auto& layout = layout_of(sample_shape);
  Composer net(sample_shape, options.weight, spectral);
  add_first_discriminator_block(net, "block0", layout.judging[0].width * options.channels);
  for (size_t i = 1; i < layout.judging.size(); ++i) {
    const auto& [width, halves] = layout.judging[i];
    add_discriminator_block(net, fmt::format("block{}", i), width * options.channels, halves, options.norm);
  }
  net.activation(Activation::relu)
      .sum_pool()
      .linear(fmt::format("linear{}", layout.judging.size()), 1,
              {.bias = layout.last_bias, .initial = Initialization::glorot});
  return net.finish({});
}

}  // namespace sgan
