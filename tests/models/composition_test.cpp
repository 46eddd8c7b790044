#include "models/composition.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <set>
#include <string>
#include <tuple>

#include "tests/fixtures/fixture.h"
#include "tests/models/seeded_network.h"

namespace sgan {
namespace {

// Does to x what the nodes say, checking the shape that each claims to receive. Only dense layers, and what follows
// them, may read their input as another shape.
torch::Tensor replay(const Composition& nodes, const EffectiveWeights& weights, torch::Tensor x) {
  const Node* previous = nullptr;
  const auto is_linear = [](const Node* node) {
    const auto* map = node == nullptr ? nullptr : std::get_if<LinearMap>(&node->what);
    return map != nullptr && map->layer->geometry().kind == OperatorKind::linear;
  };
  for (const auto& node : nodes) {
    std::vector<int64_t> shape{x.size(0)};
    shape.insert(shape.end(), node.input.begin(), node.input.end());
    if (is_linear(previous)) x = x.reshape(shape);
    previous = &node;
    if (is_linear(&node)) {  // reads images as they lie
      EXPECT_EQ(x.numel(), c10::multiply_integers(shape)) << "before node '" << node.name << "'";
    } else {
      EXPECT_EQ(x.sizes(), torch::IntArrayRef(shape)) << "before node '" << node.name << "'";
    }
    if (const auto* map = std::get_if<LinearMap>(&node.what)) {
      x = map->layer->forward(x, weights.of(*map->layer));
    } else if (const auto* pointwise = std::get_if<Pointwise>(&node.what)) {
      x = activate(pointwise->activation, x, pointwise->slope);
    } else if (const auto* normalization = std::get_if<Normalization>(&node.what)) {
      EXPECT_NE(normalization->kind, NormKind::none);
      x = normalization->norm->forward(x, Mode::eval);
    } else if (const auto* pooling = std::get_if<Pooling>(&node.what)) {
      x = pool(*pooling, x);
    } else {
      const auto& residual = std::get<Residual>(node.what);
      x = replay(residual.branch, weights, x) + replay(residual.shortcut, weights, x);
    }
  }
  return x;
}

// Names of the nodes' modules, which must be those of the network's layers, norms and blocks, each once.
void expect_names(const NetworkImpl& network, const Composition& nodes) {
  const auto modules = network.named_modules("", /*include_self=*/false);
  std::set<std::string> named;
  for_each_node(nodes, [&](const Node& node, int64_t) {
    if (node.name.empty()) return;
    EXPECT_TRUE(named.insert(node.name).second) << node.name;
    EXPECT_TRUE(modules.contains(node.name)) << node.name;
  });
  for (const auto& [name, layer] : network.layers()) EXPECT_TRUE(named.contains(name)) << name;
}

TEST(Composition, PoolingIsWhatItIsCalled) {
  const auto x = torch::arange(16.0).view({1, 1, 4, 4});
  const auto average = torch::tensor({2.5, 4.5, 10.5, 12.5}).view({1, 1, 2, 2});
  EXPECT_TRUE(close(pool({Pooling::Kind::average, 2}, x), average, 0));
  EXPECT_TRUE(close(pool({Pooling::Kind::sum, 4}, x), torch::tensor({{120.0}}), 0));
  const auto twice = torch::tensor({1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0}).view({1, 1, 2, 4});
  EXPECT_TRUE(close(pool({Pooling::Kind::upsample, 2}, torch::tensor({{{{1.0, 2.0}}}})), twice, 0));
}

using Choice = std::tuple<std::pair<NetworkKind, std::string_view>, std::pair<NormKind, std::string_view>,
                          std::pair<WeightKind, std::string_view>>;

class CompositionReplay : public testing::TestWithParam<Choice> {};

TEST_P(CompositionReplay, ReproducesForward) {
  const auto [kind, norm, weight] = GetParam();
  if (kind.first == NetworkKind::mlp && norm.first == NormKind::instance) return;  // nothing to average over
  const auto config = network_config(kind.first, norm.first, weight.first);
  std::vector<std::vector<int64_t>> shapes{small_shape(kind.first), {3, 48, 48}};
  if (kind.first == NetworkKind::mlp) shapes.push_back({2});
  for (const auto& sample_shape : shapes) {
    const auto generator = make_generator(config, sample_shape);
    const auto discriminator = make_discriminator(config, sample_shape);
    initialize(*generator, 1);
    initialize(*discriminator, 2);
    // Small initial weights would drown small networks' outputs in their biases.
    torch::NoGradGuard no_grad;
    for (const auto& network : {generator, discriminator}) {
      for (auto& parameter : network->parameters()) parameter.mul_(4);
    }
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

// A training pass and its gradients, to parameters and input, are the same bits whether activations overwrite or not.
TEST_P(CompositionReplay, OverwritingChangesNothing) {
  const auto [kind, norm, weight] = GetParam();
  if (kind.first == NetworkKind::mlp && norm.first == NormKind::instance) return;  // nothing to average over
  const auto network =
      make_discriminator(network_config(kind.first, norm.first, weight.first), small_shape(kind.first));
  initialize(*network, 1);
  const auto nodes = network->composition();
  std::vector<int64_t> shape{3};
  shape.insert(shape.end(), nodes.front().input.begin(), nodes.front().input.end());
  const auto pass = [&](Overwrite overwrite) {
    const auto input = draw_normal(shape, 2).requires_grad_(true);
    const auto weights = network->effective_weights();
    const auto apply = [&](const WeightedLayer& layer, const torch::Tensor& x) {
      return layer->forward(x, weights.of(*layer));
    };
    const auto output = run_composition(nodes, input, Mode::train_frozen, apply, overwrite);
    auto differentiated = network->parameters();
    differentiated.push_back(input);
    auto results =
        torch::autograd::grad({output.square().sum()}, differentiated, {}, std::nullopt, false, /*allow_unused=*/true);
    results.push_back(output);
    return results;
  };
  const auto kept = pass(Overwrite::never);
  const auto overwritten = pass(Overwrite::spent);
  for (size_t i = 0; i < kept.size(); ++i) {
    ASSERT_EQ(kept[i].defined(), overwritten[i].defined()) << i;
    if (!kept[i].defined()) continue;
    EXPECT_TRUE(torch::equal(kept[i], overwritten[i])) << i;
  }
  EXPECT_GT(kept.back().abs().max().item<double>(), 0);
}

// The memory that an activation writes is the layer's output where that is spent, and the block's input never is.
TEST(Composition, OverwritesOnlyWhatIsSpent) {
  const auto network = make_discriminator(network_config(NetworkKind::sn_cnn, NormKind::none, WeightKind::none),
                                          small_shape(NetworkKind::sn_cnn));
  initialize(*network, 1);
  torch::NoGradGuard no_grad;
  torch::Tensor made;
  const auto apply = [&](const WeightedLayer& layer, const torch::Tensor& x) {
    return made = layer->forward(x, layer->parametrization().effective());
  };
  const Composition first_two{network->composition()[0], network->composition()[1]};
  const auto input = draw_normal({2, 1, 16, 16}, 3);
  EXPECT_FALSE(run_composition(first_two, input, Mode::eval, apply).is_same(made));
  EXPECT_TRUE(run_composition(first_two, input, Mode::eval, apply, Overwrite::spent).is_same(made));
  const auto before = input.clone();
  const Composition activation{network->composition()[1]};
  auto wide = activation;
  wide[0].input = {1, 16, 16};
  run_composition(wide, input, Mode::eval, apply, Overwrite::spent);
  EXPECT_TRUE(torch::equal(input, before));
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
  EXPECT_TRUE(close(activate(Activation::leaky_relu, x, 0.1), torch::tensor({-0.2, 0.0, 3.0}), 1e-7));
  EXPECT_TRUE(close(activate(Activation::tanh, x), torch::tanh(x), 0));
  for (const auto activation : {Activation::identity, Activation::relu, Activation::leaky_relu, Activation::tanh}) {
    const auto over = x.clone();
    EXPECT_TRUE(activate_in_place(activation, over, 0.1).is_same(over));
    EXPECT_TRUE(torch::equal(over, activate(activation, x, 0.1)));
  }
}

}  // namespace
}  // namespace sgan
