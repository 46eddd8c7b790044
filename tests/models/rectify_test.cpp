#include "models/rectify.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <cmath>
#include <limits>

namespace sgan {
namespace {

torch::Tensor images(int64_t seed) {
  torch::manual_seed(seed);
  return torch::randn({3, 5, 4, 6}).contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor plain(const torch::Tensor& input, double slope) {
  return torch::leaky_relu(input, slope);
}

class Rectify : public testing::TestWithParam<double> {};

TEST_P(Rectify, EqualsTheActivationAndItsGradientBitForBit) {
  const auto x = images(1).requires_grad_(), factor = images(2), y_gradient = images(3);
  const auto expected = plain(x * factor, GetParam());
  auto hidden = x * factor;
  const auto y = rectify_in_place(hidden, GetParam());
  EXPECT_TRUE(y.is_same(hidden));
  EXPECT_TRUE(torch::equal(y, expected));
  const auto kept = y_gradient.clone();
  EXPECT_TRUE(torch::equal(torch::autograd::grad({y}, {x}, {y_gradient})[0],
                           torch::autograd::grad({expected}, {x}, {y_gradient})[0]));
  EXPECT_TRUE(torch::equal(y_gradient, kept)) << "the caller's gradient was overwritten";
}

TEST_P(Rectify, WritesOverAGradientThatNobodyElseHolds) {
  const auto x = images(1).requires_grad_(), factor = images(2);
  auto hidden = x * 1;
  const void *incoming = nullptr, *outgoing = nullptr;
  hidden.register_hook([&](const torch::Tensor& gradient) { outgoing = gradient.const_data_ptr(); });
  const auto y = rectify_in_place(hidden, GetParam());
  y.register_hook([&](const torch::Tensor& gradient) { incoming = gradient.const_data_ptr(); });
  torch::autograd::grad({(y * factor).sum()}, {x});
  EXPECT_NE(incoming, nullptr);
  EXPECT_EQ(incoming, outgoing);
}

// As in a residual block, whose branch and shortcut are handed one gradient.
TEST_P(Rectify, LeavesAGradientThatIsSharedAlone) {
  const auto x = images(1).requires_grad_(), factor = images(2);
  const auto total = [&](const auto& activation) {
    auto branch = x * factor;
    const auto sum = activation(std::move(branch)) + x;
    return torch::autograd::grad({(sum * sum).sum()}, {x})[0];
  };
  EXPECT_TRUE(torch::equal(total([](torch::Tensor t) { return rectify_in_place(std::move(t), GetParam()); }),
                           total([](const torch::Tensor& t) { return plain(t, GetParam()); })));
}

TEST_P(Rectify, ItsGradientCanBeDifferentiated) {
  const auto x = images(1).requires_grad_(), factor = images(2).requires_grad_();
  const auto penalty = [&](const auto& activation) {
    const auto y = activation(x * factor);
    const auto by_x = torch::autograd::grad({(y * y).sum()}, {x}, {}, true, true)[0];
    return torch::autograd::grad({by_x.square().sum()}, {factor})[0];
  };
  EXPECT_TRUE(torch::equal(penalty([](torch::Tensor t) { return rectify_in_place(std::move(t), GetParam()); }),
                           penalty([](const torch::Tensor& t) { return plain(t, GetParam()); })));
}

// One number for every element, which has no room for their gradients.
TEST_P(Rectify, LeavesAGradientThatIsSpreadFromOneNumberAlone) {
  const auto x = images(1).requires_grad_();
  auto hidden = x * 1;
  const auto y = rectify_in_place(hidden, GetParam());
  const auto expected = torch::where(y > 0, 1.0, GetParam());
  EXPECT_TRUE(torch::equal(torch::autograd::grad({y}, {x}, {torch::ones({}).expand(x.sizes())})[0], expected));
  const auto again = rectify_in_place(x * 1, GetParam());
  EXPECT_TRUE(torch::equal(torch::autograd::grad({again.sum()}, {x})[0], expected));
}

TEST(RectifyInPlace, TreatsWhatIsNotFiniteAsReluDoes) {
  const auto infinity = std::numeric_limits<float>::infinity();
  const auto values = torch::tensor({-infinity, infinity, std::nanf(""), -1.0F, 2.0F});
  const auto factors = torch::tensor({infinity, 1.0F, 1.0F, infinity, -infinity});
  const auto run = [&](const auto& activation) {
    const auto x = values.clone().requires_grad_();
    const auto y = activation(x * 1);
    return std::pair{y.detach(), torch::autograd::grad({(y * factors).sum()}, {x})[0]};
  };
  const auto [y, gradient] = run([](torch::Tensor t) { return rectify_in_place(std::move(t), 0); });
  const auto [expected_y, expected_gradient] = run([](const torch::Tensor& t) { return torch::relu(t); });
  EXPECT_TRUE(torch::allclose(y, expected_y, 0, 0, /*equal_nan=*/true));
  EXPECT_TRUE(torch::allclose(gradient, expected_gradient, 0, 0, /*equal_nan=*/true));
}

INSTANTIATE_TEST_SUITE_P(Slopes, Rectify, testing::Values(0.0, 0.1, 0.2, 1.0));

}  // namespace
}  // namespace sgan
