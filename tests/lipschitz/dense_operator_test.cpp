#include "lipschitz/dense_operator.h"

#include <gtest/gtest.h>

#include "tests/lipschitz/random_layers.h"

namespace sgan {
namespace {

TEST(DenseOperator, OfAConvolutionByHand) {
  // Kernel (1 2; 3 4) on 2×2 pixels with one pixel of padding, stride 2: each output sees one corner.
  const OperatorGeometry geometry{OperatorKind::conv, 1, 1, 2, 2, 1, 2};
  const auto weight = torch::tensor({1.0F, 2.0F, 3.0F, 4.0F}).view({1, 1, 2, 2});
  const auto corners = torch::diag(torch::tensor({4.0, 3.0, 2.0, 1.0}, torch::kDouble));
  EXPECT_TRUE(torch::equal(dense_operator(weight, geometry), corners));
}

TEST(DenseOperator, OfATransposedConvolutionIsTheTransposeOfItsNormEquivalent) {
  for (uint64_t i = 1; i < 100; i += 2) {
    const auto [geometry, weight] = random_layer(i);
    const auto t = norm_equivalent_convolution(weight, geometry);
    const OperatorGeometry adjoint{OperatorKind::conv, t.weight.size(1), t.weight.size(0), geometry.kernel,
                                   geometry.stride,    geometry.padding, t.in_size};
    EXPECT_EQ(adjoint.out_size(), t.out_size);
    EXPECT_TRUE(torch::allclose(dense_operator(weight, geometry), dense_operator(weight, adjoint).t(), 1e-14, 1e-14))
        << describe(geometry);
  }
}

TEST(GramMatrix, IsTheSmallerProductOfTheDenseOperator) {
  for (uint64_t i = 0; i < 200; ++i) {
    const auto [geometry, weight] = random_layer(i);
    const auto t = norm_equivalent_convolution(weight, geometry);
    auto dense = dense_operator(weight, geometry);
    if (geometry.kind == OperatorKind::conv_transpose) dense = dense.t();
    const bool inputs = dense.size(1) <= dense.size(0);
    const int64_t channels = inputs ? t.weight.size(1) : t.weight.size(0);
    if (!inputs) dense = dense.t();
    // Columns (channel, position), as tensors lie in memory, to (position, channel).
    dense = dense.unflatten(1, {channels, -1}).transpose(1, 2).flatten(1);
    const auto gram = gram_matrix(t);
    ASSERT_EQ(gram.size(0), gram_side(t));
    EXPECT_TRUE(torch::allclose(gram, dense.t().mm(dense), 1e-12, 1e-12)) << describe(geometry);
  }
}

TEST(Convolution, ApplyAdjointIsTheAdjointOfApply) {
  for (uint64_t i = 0; i < 100; ++i) {
    const auto [geometry, weight] = random_layer(i);
    const auto t = norm_equivalent_convolution(weight, geometry);
    const auto random = make_generator(i, torch::kCPU);
    const auto x = torch::randn({2, t.weight.size(1), t.in_size, t.in_size}, random, torch::kDouble);
    const auto y = torch::randn({2, t.weight.size(0), t.out_size, t.out_size}, random, torch::kDouble);
    EXPECT_NEAR((t.apply(x) * y).sum().item<double>(), (x * t.apply_adjoint(y)).sum().item<double>(), 1e-11)
        << describe(geometry);
  }
}

}  // namespace
}  // namespace sgan
