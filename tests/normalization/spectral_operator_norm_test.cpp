#include "normalization/spectral_operator_norm.h"

#include <gtest/gtest.h>

#include "tests/normalization/layer_cases.h"

namespace sgan {
namespace {

using torch::autograd::grad;

WeightedLayer operator_layer(const OperatorGeometry& geometry, const SpectralOptions& options = {}) {
  return random_layer(geometry, WeightKind::spectral_operator, options);
}

// Kernels, strides and paddings, sizes that a stride leaves a remainder of, and images smaller than the kernel.
std::vector<OperatorGeometry> geometries() {
  std::vector<OperatorGeometry> all{{OperatorKind::linear, 6, 4}, {OperatorKind::linear, 3, 8}};
  for (const auto kind : {OperatorKind::conv, OperatorKind::conv_transpose}) {
    for (const int64_t kernel : {1, 3, 4}) {
      for (const int64_t stride : {1, 2, 3}) {
        for (const int64_t padding : {0, 1, 2}) {
          for (const int64_t size : {2, 5, 6}) {
            const OperatorGeometry geometry{kind, 2, 3, kernel, stride, padding, size};
            const bool has_window = kind != OperatorKind::conv || size + 2 * padding >= kernel;
            // Padding as wide as the kernel can leave nothing but itself to see.
            if (has_window && geometry.out_size() >= 1 && padding < kernel) all.push_back(geometry);
          }
        }
      }
    }
  }
  return all;
}

std::string describe(const OperatorGeometry& geometry) {
  const char* kinds[] = {"linear", "conv", "conv_transpose"};
  return std::string(kinds[static_cast<int>(geometry.kind)]) + " kernel " + std::to_string(geometry.kernel) +
         " stride " + std::to_string(geometry.stride) + " padding " + std::to_string(geometry.padding) + " size " +
         std::to_string(geometry.in_size);
}

TEST(SpectralOperatorNorm, SigmaMatchesTheDenseOperator) {
  for (const auto& geometry : geometries()) {
    SCOPED_TRACE(describe(geometry));
    const auto layer = operator_layer(geometry, {.warmup = 0});
    const auto original = stored(layer, "original").detach();
    const double exact = largest_singular_value(dense_operator(layer, original));
    double last = 0;
    for (int i = 0; i < 200; ++i) {
      layer->parametrization().advance();
      const double sigma = layer->parametrization().sigma().item<double>();
      EXPECT_GE(sigma, last * (1 - 1e-12));
      last = sigma;
    }
    EXPECT_LE(last, exact * (1 + 1e-12));
    EXPECT_GE(last, exact * 0.99);
    const auto normalized = dense_operator(layer, layer->parametrization().effective());
    EXPECT_NEAR(largest_singular_value(normalized), 1, 0.0102);
  }
}

TEST(SpectralOperatorNorm, PowerIterationIsThatOfTheDenseOperator) {
  for (const auto& geometry : geometries()) {
    SCOPED_TRACE(describe(geometry));
    const auto layer = operator_layer(geometry, {.warmup = 0});
    const auto dense = dense_operator(layer, stored(layer, "original").detach());
    auto x = stored(layer, "0._x").flatten().clone();
    EXPECT_NEAR(x.norm().item<double>(), 1, 1e-14);
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(close(layer->parametrization().sigma(), torch::mv(dense, x).norm(), 1e-13));
      layer->parametrization().advance();
      x = torch::mv(dense.t(), torch::mv(dense, x));
      x = x / x.norm();
      EXPECT_TRUE(close(stored(layer, "0._x").flatten(), x, 1e-12));
    }
  }
}

TEST(SpectralOperatorNorm, EqualsSpectralNormOnLinearLayers) {
  const OperatorGeometry geometry{OperatorKind::linear, 9, 6};
  const auto of_operator = operator_layer(geometry, {.warmup = 0});
  const auto of_matrix = random_layer(geometry, WeightKind::spectral, {.warmup = 0});
  {
    torch::NoGradGuard no_grad;
    stored(of_operator, "0._x").copy_(stored(of_matrix, "0._v").view({1, 9}));
  }
  for (int i = 0; i < 400; ++i) {
    advance(of_operator, 1);
    advance(of_matrix, 1);
    if (i < 5) {
      EXPECT_TRUE(close(stored(of_operator, "0._x").flatten(), stored(of_matrix, "0._v"), 1e-13)) << i;
    }
  }
  EXPECT_TRUE(close(of_operator->parametrization().sigma(), of_matrix->parametrization().sigma(), 1e-13));
  const auto cotangent = normal({6, 9}, 7);
  const auto gradient = [&](const WeightedLayer& layer) {
    return grad({layer->parametrization().effective()}, {stored(layer, "original")}, {cotangent})[0];
  };
  EXPECT_TRUE(close(gradient(of_operator), gradient(of_matrix), 1e-10));
}

TEST(SpectralOperatorNorm, SharesItsNormWithTheTransposedLayer) {
  const OperatorGeometry conv{OperatorKind::conv, 3, 5, 4, 2, 1, 8};
  const OperatorGeometry transposed{OperatorKind::conv_transpose, 5, 3, 4, 2, 1, 4};
  const auto first = operator_layer(conv, {.warmup = 500});
  const auto second = operator_layer(transposed, {.warmup = 500});
  EXPECT_TRUE(torch::equal(stored(first, "original"), stored(second, "original")));
  EXPECT_TRUE(close(first->parametrization().sigma(), second->parametrization().sigma(), 1e-6));
}

TEST(SpectralOperatorNorm, RealPlusFakeBackwardEqualsAnalyticGradient) {
  for (const auto& geometry : geometries()) {
    SCOPED_TRACE(describe(geometry));
    const auto layer = operator_layer(geometry, {.warmup = 1, .target = 2});
    const auto original = stored(layer, "original");
    const auto x = stored(layer, "0._x");
    const auto normalized = layer->parametrization().effective();
    const auto real = layer->forward(inputs_of(geometry, 2, 4), normalized);
    const auto fake = layer->forward(inputs_of(geometry, 2, 5), normalized);
    const auto gradients = grad({(real.sin() - fake.cos()).sum()}, {original, normalized});

    // ∂⟨y, T_W x⟩/∂W by central differences, exact as the product is linear in W.
    const auto y = layer->forward(x, original).detach();
    const auto product = [&](const torch::Tensor& weight) { return (y * layer->forward(x, weight)).sum() / y.norm(); };
    auto slope = torch::zeros_like(original);
    for (int64_t i = 0; i < slope.numel(); ++i) {
      auto unit = torch::zeros_like(slope);
      unit.view(-1)[i] = 1;
      slope.view(-1)[i] = ((product(original + unit) - product(original - unit)) / 2).detach();
    }
    const auto sigma = y.norm();
    const auto inner = (gradients[1] * normalized.detach()).sum() / 2;
    EXPECT_TRUE(close(gradients[0], (gradients[1] - inner * slope) * 2 / sigma, 1e-12));
  }
}

TEST(SpectralOperatorNorm, SmallWeightsAreStillNormalized) {
  // σ² is below eps, σ is not.
  const OperatorGeometry geometry{OperatorKind::conv, 2, 3, 3, 1, 1, 5};
  const auto layer = layer_with(geometry, WeightKind::spectral_operator, 1e-8 * normal({3, 2, 3, 3}, 1));
  advance(layer, 300);
  EXPECT_NEAR(largest_singular_value(dense_operator(layer, layer->parametrization().effective())), 1, 0.01);
}

}  // namespace
}  // namespace sgan
