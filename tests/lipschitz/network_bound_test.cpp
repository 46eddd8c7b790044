#include "lipschitz/network_bound.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "configs/error.h"
#include "lipschitz/dense_operator.h"
#include "lipschitz/node_factor.h"
#include "lipschitz/slope_search.h"
#include "models/composed_network.h"
#include "models/factory.h"
#include "run/random_streams.h"
#include "tests/lipschitz/random_layers.h"
#include "tests/models/seeded_network.h"

namespace sgan {
namespace {

// A network's float32 weights, in float64, and the network moved there.
struct Wide {
  Network network;
  EffectiveWeights narrow;
  EffectiveWeights weights;
};

Wide widen(const Network& network) {
  Wide wide{network, network->frozen_weights(), {}};
  for (const auto& [name, layer] : network->layers()) {
    wide.weights.set(*layer, wide.narrow.of(*layer).to(torch::kDouble));
  }
  network->to(torch::kDouble);
  return wide;
}

CriticFunction critic_of(const Wide& wide) {
  return [&wide](const torch::Tensor& x) { return wide.network->forward(x, wide.weights, Mode::eval); };
}

torch::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return torch::randn(shape, make_generator(seed, torch::kCPU), torch::kDouble);
}

// A linear map: every slope is the one norm, which the bounds meet.
TEST(NetworkBound, MeetsTheConstantOfALinearMap) {
  Composer net({2, 5, 5}, WeightKind::none, {});
  net.conv("conv0", 3, {.kernel = 3, .padding = 1}).linear("linear1", 1);
  const auto network = net.finish({});
  initialize(*network, 1);
  const auto wide = widen(network);
  const auto bound = bound_network(*network, wide.narrow);
  // The dense matrix of the whole: its only row is the gradient anywhere.
  const auto exact = slopes_at(critic_of(wide), normal({3, 2, 5, 5}, 1));
  EXPECT_NEAR(exact[0].item<double>(), exact[2].item<double>(), 1e-12);
  EXPECT_GE(bound.upper, exact[0].item<double>());
  // One layer alone meets it.
  Composer single({2, 5, 5}, WeightKind::none, {});
  single.conv("conv0", 1, {.kernel = 5});
  const auto one = single.finish({});
  initialize(*one, 2);
  const auto one_wide = widen(one);
  const auto slope = slopes_at(critic_of(one_wide), normal({1, 2, 5, 5}, 2))[0].item<double>();
  EXPECT_NEAR(bound_network(*one, one_wide.narrow).upper, slope, 1e-8 * slope);
}

// Orthogonal layers and absolute values keep every length: the constant is 1, and so are both bounds.
TEST(NetworkBound, MeetsOneForAnOrthogonalNetwork) {
  Composer net({8}, WeightKind::none, {});
  net.linear("linear0", 8).activation(Activation::leaky_relu, -1.0).linear("linear1", 8).linear("linear2", 1);
  const auto network = net.finish({});
  initialize(*network, 1);
  torch::NoGradGuard no_grad;
  for (const auto& [name, layer] : network->layers()) {
    const auto weight = layer->parametrization().effective();
    const auto square = normal({8, 8}, name.size() + static_cast<uint64_t>(name.back()));
    const auto q = std::get<0>(torch::linalg_qr(square));
    weight.copy_(q.slice(0, 0, weight.size(0)));
  }
  const auto wide = widen(network);
  EXPECT_NEAR(bound_network(*network, wide.narrow).upper, 1.0, 1e-6);
  EXPECT_NEAR(climb_slope(critic_of(wide), normal({4, 8}, 3), 5, 0).largest, 1.0, 1e-6);
}

// x → wᵀ relu(W x + b) in the plane, small enough to visit every region of the plane: the exact constant is the largest
// ‖Wᵀ diag(s) w‖ over the regions' activation patterns s.
TEST(NetworkBound, EnclosesTheConstantOfATwoLayerReluNetwork) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    Composer net({2}, WeightKind::none, {});
    net.linear("linear0", 6, {.initial = Initialization::fan_in})
        .activation(Activation::relu)
        .linear("linear1", 1, {.initial = Initialization::fan_in});
    const auto network = net.finish({});
    initialize(*network, seed);
    const auto wide = widen(network);
    const auto w = wide.weights.of(*network->layers()[0].second);
    const auto b = network->layers()[0].second->bias();
    const auto v = wide.weights.of(*network->layers()[1].second)[0];
    // A fine grid over a square that holds every crossing of two hyperplanes meets every region in it.
    const auto axis = torch::linspace(-40, 40, 801, torch::kDouble);
    const auto points = torch::stack({axis.repeat_interleave(801), axis.repeat({801})}, 1);
    const auto active = (torch::mm(points, w.t()) + b > 0).to(torch::kDouble);
    const auto exact = torch::mm(active * v, w).norm(2, 1).max().item<double>();

    const auto bound = bound_network(*network, wide.narrow);
    const auto search = climb_slope(critic_of(wide), normal({32, 2}, seed) * 3, 60, seed);
    EXPECT_GE(bound.upper, exact * (1 - 1e-12));
    EXPECT_LE(search.largest, exact * (1 + 1e-9));
    EXPECT_GE(search.largest, 0.8 * exact);
    EXPECT_GE(search.largest, search.start.max().item<double>());
  }
}

// Every kind of node at once: the slopes met never exceed the certificate.
TEST(NetworkBound, HoldsForEveryArchitecture) {
  for (const auto& [kind, kind_name] : Names<NetworkKind>::table) {
    for (const auto norm : {NormKind::none, NormKind::batch}) {
      for (const auto& [weight, weight_name] : Names<WeightKind>::table) {
        SCOPED_TRACE(std::string(kind_name) + " " + std::string(name_of(norm)) + " " + std::string(weight_name));
        auto config = network_config(kind, norm, weight);
        config.discriminator.channels = 2;
        const auto network = make_discriminator(config, small_shape(kind));
        initialize(*network, 1);
        const auto shape = small_shape(kind);
        network->forward(normal({6, shape[0], shape[1], shape[2]}, 1).to(torch::kFloat), Mode::train);
        const auto wide = widen(network);
        const auto bound = bound_network(*network, wide.narrow, {.cholesky_side = 0});
        const auto search = climb_slope(critic_of(wide), normal({4, shape[0], shape[1], shape[2]}, 2), 3, 1);
        EXPECT_TRUE(bound.useful);
        EXPECT_GT(search.largest, 0);
        EXPECT_LE(search.largest, bound.upper);
        EXPECT_EQ(bound.nodes.back().depth, 0);
      }
    }
  }
}

// A residual critic with every kind of operation, against the product worked out by hand from dense SVDs.
TEST(NetworkBound, OfAResidualCriticIsTheProductByHand) {
  Composer net({2, 8, 8}, WeightKind::none, {});
  const auto branch = [](Composer& part) {
    part.conv("block0.conv0", 3, {.kernel = 3, .padding = 1})
        .activation(Activation::leaky_relu, -1.5)
        .conv("block0.conv1", 4, {.kernel = 3, .padding = 1})
        .average_pool();
  };
  const auto shortcut = [](Composer& part) { part.average_pool().conv("block0.shortcut", 4, {.kernel = 1}); };
  net.residual("block0", branch, shortcut)
      .norm("norm1", NormKind::batch)
      .activation(Activation::relu)
      .upsample()
      .conv("conv1", 3, {.kernel = 4, .stride = 2, .padding = 1})
      .sum_pool()
      .linear("linear2", 1);
  const auto network = net.finish({});
  initialize(*network, 4);
  const auto norm_of = [&](size_t layer) {
    const auto& map = *network->layers()[layer].second;
    return dense_norm(map.parametrization().effective().detach(), map.geometry());
  };
  // Names are registered branch first: conv0, conv1, shortcut, conv1, linear2.
  const double block = norm_of(0) * 1.5 * norm_of(1) * 0.5 + 0.5 * norm_of(2);
  const double batch_norm = 1 / std::sqrt(1 + 1e-5);
  const double by_hand = block * batch_norm * 2 * norm_of(3) * std::sqrt(16.0) * norm_of(4);
  const auto bound = bound_network(*network, network->frozen_weights());
  EXPECT_NEAR(bound.upper, by_hand, 1e-7 * by_hand);
  EXPECT_GE(bound.upper, by_hand * (1 - 1e-12));
  EXPECT_TRUE(bound.useful);
  // block0, conv0, leaky, conv1, pool, pool, shortcut, …: the shortcut's two are marked.
  for (size_t i = 0; i < bound.nodes.size(); ++i) EXPECT_EQ(bound.nodes[i].shortcut, i == 5 || i == 6) << i;
}

TEST(NetworkBound, RefusesANetworkThatIsNotFinite) {
  const auto network =
      make_discriminator(network_config(NetworkKind::dcgan, NormKind::batch, WeightKind::none), {1, 16, 16});
  initialize(*network, 1);
  torch::NoGradGuard no_grad;
  network->named_parameters()["norm1.weight"][0] = NAN;
  EXPECT_THROW(bound_network(*network, network->frozen_weights()), UserError);
}

TEST(NetworkBound, SaysWhereANormMakesItUseless) {
  const auto config = network_config(NetworkKind::dcgan, NormKind::layer, WeightKind::spectral);
  const auto network = make_discriminator(config, {1, 16, 16});
  initialize(*network, 1);
  const auto bound = bound_network(*network, network->frozen_weights());
  EXPECT_FALSE(bound.useful);
  for (const auto& node : bound.nodes) EXPECT_EQ(node.useful, node.operation != "layer norm") << node.operation;
}

TEST(NetworkBound, AddsBranchAndShortcut) {
  Composer net({4}, WeightKind::none, {});
  net.residual(
      "block0", [](Composer& part) { part.linear("block0.linear0", 4); }, nullptr);
  const auto network = net.finish({4});
  initialize(*network, 1);
  torch::NoGradGuard no_grad;
  network->layers()[0].second->parametrization().effective().copy_(3 * torch::eye(4));
  const auto bound = bound_network(*network, network->frozen_weights());
  EXPECT_NEAR(bound.upper, 4, 1e-6);
  EXPECT_EQ(bound.nodes[0].method, "branch + shortcut");
  EXPECT_NEAR(bound.nodes[1].factor, 3, 1e-6);
  EXPECT_EQ(bound.nodes[1].depth, 1);
}

// By hand: a batch norm with γ = 2 and a running variance of 3 stretches by 2/√3.
TEST(NodeFactor, OfABatchNormComesFromItsRunningVariance) {
  Composer net({2}, WeightKind::none, {});
  net.linear("linear0", 2).norm("norm0", NormKind::batch);
  const auto network = net.finish({2});
  initialize(*network, 1);
  torch::NoGradGuard no_grad;
  network->named_parameters()["norm0.weight"].copy_(torch::tensor({-2.0, 0.5}));
  network->named_buffers()["norm0.running_var"].fill_(3);
  EXPECT_NEAR(node_factor(network->composition()[1]).value, 2 / std::sqrt(3.0 + 1e-5), 1e-9);
}

// The largest singular value of a norm's Jacobian, over inputs that hardly vary and others: never above the factor, and
// close to it where it is steepest.
TEST(NodeFactor, OfEveryNormIsItsSteepestJacobian) {
  for (const auto& [kind, name] : Names<NormKind>::table) {
    if (kind == NormKind::none) continue;
    SCOPED_TRACE(name);
    const auto norm = make_activation_norm(kind, {4, 3, 3});
    norm->to(torch::kDouble);
    {
      torch::NoGradGuard no_grad;
      for (auto& parameter : norm->parameters()) parameter.uniform_(-2, 2, make_generator(1, torch::kCPU));
    }
    const double factor = node_factor({"norm0", {4, 3, 3}, Normalization{kind, norm}}).value;
    double steepest = 0;
    for (const double size : {1e-7, 1e-3, 1.0, 10.0}) {
      const auto x = (normal({1, 4, 3, 3}, 1) * size).requires_grad_(true);
      const auto y = norm->forward(x, Mode::eval).flatten();
      std::vector<torch::Tensor> rows;
      for (int64_t i = 0; i < y.size(0); ++i) {
        rows.push_back(torch::autograd::grad({y[i]}, {x}, {}, /*retain_graph=*/true)[0].flatten());
      }
      steepest = std::max(steepest, torch::linalg_svdvals(torch::stack(rows))[0].item<double>());
    }
    EXPECT_LE(steepest, factor * (1 + 1e-9));
    EXPECT_GE(steepest, 0.8 * factor);
  }
}

TEST(NodeFactor, OfPoolingsIsTheirNorm) {
  const auto factor = [](Pooling::Kind kind, int64_t window, std::vector<int64_t> input) {
    return node_factor({"", std::move(input), Pooling{kind, window}}).value;
  };
  EXPECT_DOUBLE_EQ(factor(Pooling::Kind::average, 2, {3, 8, 8}), 0.5);
  EXPECT_DOUBLE_EQ(factor(Pooling::Kind::sum, 8, {3, 8, 8}), 8);
  EXPECT_DOUBLE_EQ(factor(Pooling::Kind::upsample, 2, {3, 8, 8}), 2);
}

}  // namespace
}  // namespace sgan
