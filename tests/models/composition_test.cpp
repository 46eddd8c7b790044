#include "models/composition.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "tests/fixtures/fixture.h"
#include "tests/models/seeded_network.h"

namespace sgan {
namespace {

// Does to x what the nodes say, checking the shape that each claims to receive.
torch::Tensor replay(const Composition& nodes, const EffectiveWeights& weights, torch::Tensor x) {
  for (const auto& node : nodes) {
    std::vector<int64_t> shape{x.size(0)};
    shape.insert(shape.end(), node.input.begin(), node.input.end());
    EXPECT_EQ(x.sizes(), torch::IntArrayRef(shape)) << "before node '" << node.name << "'";
    if (const auto* map = std::get_if<LinearMap>(&node.what)) {
      x = map->layer->forward(x, weights.of(*map->layer));
    } else if (const auto* pointwise = std::get_if<Pointwise>(&node.what)) {
      x = activate(pointwise->activation, x);
    } else if (const auto* normalization = std::get_if<Normalization>(&node.what)) {
      EXPECT_NE(normalization->kind, NormKind::none);
      x = normalization->norm->forward(x, Mode::eval);
    } else {
      ADD_FAILURE() << "this network has a node that the test cannot replay: " << node.name;
    }
  }
  return x;
}

// Names of the nodes' modules, which must be those of the network's children.
void expect_names(const NetworkImpl& network, const Composition& nodes) {
  const auto children = network.named_children();
  size_t named = 0;
  for (const auto& node : nodes) {
    if (node.name.empty()) continue;
    ++named;
    EXPECT_TRUE(children.contains(node.name)) << node.name;
  }
  EXPECT_EQ(named, children.size());
}

using Choice = std::tuple<std::pair<NetworkKind, std::string_view>, std::pair<NormKind, std::string_view>,
                          std::pair<WeightKind, std::string_view>>;

class CompositionReplay : public testing::TestWithParam<Choice> {};

TEST_P(CompositionReplay, ReproducesForward) {
  const auto [kind, norm, weight] = GetParam();
  const auto config = network_config(kind.first, norm.first, weight.first);
  std::vector<std::vector<int64_t>> shapes{{1, 16, 16}, {3, 24, 24}};
  if (kind.first == NetworkKind::mlp) shapes.push_back({2});
  for (const auto& sample_shape : shapes) {
    const auto generator = make_generator(config, sample_shape);
    const auto discriminator = make_discriminator(config, sample_shape);
    initialize(*generator, 1);
    initialize(*discriminator, 2);
    // Running statistics that are not 0 and 1.
    const auto latent = draw_normal({5, 6}, 1);
    const auto samples = generator->forward(latent, Mode::train);
    discriminator->forward(samples, Mode::train);

    const auto first = generator->composition().front().input;
    std::vector<int64_t> latent_shape{5};
    latent_shape.insert(latent_shape.end(), first.begin(), first.end());
    const auto made = replay(generator->composition(), generator->effective_weights(), latent.view(latent_shape));
    const auto images = generator->forward(latent, Mode::eval);
    EXPECT_TRUE(torch::equal(made.view(images.sizes()), images));
    expect_names(*generator, generator->composition());

    const auto input = kind.first == NetworkKind::mlp ? images.flatten(1) : images;
    const auto judged = replay(discriminator->composition(), discriminator->effective_weights(), input);
    EXPECT_TRUE(torch::equal(judged.flatten(), discriminator->forward(images, Mode::eval)));
    EXPECT_GT(judged.std().item<double>(), 0);
    expect_names(*discriminator, discriminator->composition());
  }
}

std::string choice_name(const testing::TestParamInfo<Choice>& test) {
  const auto& [kind, norm, weight] = test.param;
  return std::string(kind.second) + "_" + std::string(norm.second) + "_" + std::string(weight.second);
}

INSTANTIATE_TEST_SUITE_P(Kinds, CompositionReplay,
                         testing::Combine(testing::ValuesIn(Names<NetworkKind>::table),
                                          testing::ValuesIn(Names<NormKind>::table),
                                          testing::ValuesIn(Names<WeightKind>::table)),
                         choice_name);

TEST(Composition, ActivationsAreWhatTheyAreCalled) {
  const auto x = torch::tensor({-2.0, 0.0, 3.0});
  EXPECT_TRUE(torch::equal(activate(Activation::identity, x), x));
  EXPECT_TRUE(close(activate(Activation::relu, x), torch::tensor({0.0, 0.0, 3.0}), 0));
  EXPECT_TRUE(close(activate(Activation::leaky_relu, x), torch::tensor({-0.4, 0.0, 3.0}), 1e-7));
  EXPECT_TRUE(close(activate(Activation::tanh, x), torch::tanh(x), 0));
}

}  // namespace
}  // namespace sgan
