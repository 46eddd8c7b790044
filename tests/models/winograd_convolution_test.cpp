#include "models/winograd_convolution.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <cmath>
#include <tuple>

#include "models/winograd_kernels.h"

namespace sgan {
namespace {

struct Case {
  int64_t images, inputs, outputs, height, width, side;
  bool transposed;
  int64_t stride() const { return side == 3 ? 1 : 2; }
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.images << "x" << c.inputs << "x" << c.height << "x" << c.width << " to " << c.outputs << ", " << c.side
       << "x" << c.side << (c.transposed ? " transposed" : "");
}

// Sizes that leave no tile whole, one image, widths unlike heights, more images than a group holds, and channels that
// leave the last column blocks of a product narrow.
const Case kCases[] = {
    {3, 16, 32, 2, 2, 3, false},   {2, 48, 16, 6, 10, 3, false},   {1, 32, 80, 4, 14, 3, false},
    {5, 16, 16, 4, 4, 4, false},   {2, 32, 48, 12, 8, 4, false},   {2, 16, 48, 2, 2, 4, true},
    {3, 48, 16, 6, 4, 4, true},    {2, 16, 32, 8, 6, 3, true},     {70, 64, 64, 16, 16, 3, false},
    {40, 64, 64, 16, 16, 4, true}, {40, 64, 32, 32, 32, 4, false}, {2, 80, 112, 4, 4, 3, false},
};

struct Operands {
  torch::Tensor input, weight, bias, gradient;

  explicit Operands(const Case& c) {
    torch::manual_seed(5);
    const auto make = [](at::IntArrayRef shape) { return torch::randn(shape, torch::kDouble); };
    input = make({c.images, c.inputs, c.height, c.width});
    weight = c.transposed ? make({c.inputs, c.outputs, c.side, c.side}) : make({c.outputs, c.inputs, c.side, c.side});
    bias = make({c.outputs});
    const auto grown = [&](int64_t size) { return c.transposed ? size * c.stride() : size / c.stride(); };
    gradient = make({c.images, c.outputs, grown(c.height), grown(c.width)});
  }

  Operands as(torch::ScalarType type, torch::MemoryFormat format = torch::MemoryFormat::ChannelsLast) const {
    Operands result = *this;
    for (auto* tensor : {&result.input, &result.weight, &result.gradient})
      *tensor = tensor->to(type).contiguous(format);
    result.bias = bias.to(type);
    for (auto* tensor : {&result.input, &result.weight, &result.bias}) tensor->requires_grad_();
    return result;
  }
};

torch::Tensor plain(const Operands& of, const Case& c) {
  return c.transposed ? torch::conv_transpose2d(of.input, of.weight, of.bias, c.stride(), 1)
                      : torch::conv2d(of.input, of.weight, of.bias, c.stride(), 1);
}

// Output and gradients by input, weight and bias.
std::vector<torch::Tensor> all_of(const torch::Tensor& output, const Operands& of) {
  auto result = torch::autograd::grad({output}, {of.input, of.weight, of.bias}, {of.gradient});
  result.push_back(output.detach());
  return result;
}

double relative_error(const torch::Tensor& value, const torch::Tensor& exact) {
  return ((value.to(torch::kDouble) - exact).norm() / exact.norm()).item<double>();
}

struct InstructionSet {
  const char* name;
  bool (*is_there)();
  const winograd::Kernels* kernels;
};

const InstructionSet kInstructionSets[] = {
#ifdef __x86_64__
    {"avx2", [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; },
     &winograd::kAvx2Kernels},
    {"avx512", [] { return __builtin_cpu_supports("avx512f") != 0; }, &winograd::kAvx512Kernels},
#endif
};

void PrintTo(const InstructionSet& set, std::ostream* out) {
  *out << set.name;
}

class Winograd : public testing::TestWithParam<std::tuple<InstructionSet, Case>> {
 protected:
  static Case shapes() { return std::get<Case>(GetParam()); }

  void SetUp() override {
    const auto& set = std::get<InstructionSet>(GetParam());
    if (!set.is_there()) GTEST_SKIP() << "this processor has no " << set.name;
    before_ = winograd::use_kernels(set.kernels);
    restore_ = true;
    const auto single = Operands(shapes()).as(torch::kFloat);
    ASSERT_TRUE(winograd_applies(single.input, single.weight, shapes().stride(), 1, shapes().transposed));
  }
  void TearDown() override {
    if (restore_) winograd::use_kernels(before_);
  }

 private:
  const winograd::Kernels* before_ = nullptr;
  bool restore_ = false;
};

// Against float64's plain sum, no further away than float32's plain sum may be expected to be.
TEST_P(Winograd, EqualsThePlainConvolutionAndItsGradients) {
  const auto c = shapes();
  const Operands operands(c);
  const auto exact = operands.as(torch::kDouble);
  const auto expected = all_of(plain(exact, c), exact);
  for (const auto format : {torch::MemoryFormat::ChannelsLast, torch::MemoryFormat::Contiguous}) {
    const auto single = operands.as(torch::kFloat, format);
    const auto output = winograd_convolution(single.input, single.weight, single.bias, c.transposed);
    EXPECT_TRUE(output.is_contiguous(torch::MemoryFormat::ChannelsLast));
    const auto got = all_of(output, single);
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].sizes(), expected[i].sizes());
      EXPECT_LT(relative_error(got[i], expected[i]), 2e-6) << "tensor " << i;
    }
  }
}

TEST_P(Winograd, NeedsNoBias) {
  const auto c = shapes();
  const auto of = Operands(c).as(torch::kFloat);
  const auto with = winograd_convolution(of.input, of.weight, torch::zeros_like(of.bias), c.transposed);
  EXPECT_TRUE(torch::equal(winograd_convolution(of.input, of.weight, {}, c.transposed), with));
}

TEST_P(Winograd, DoesNotDependOnTheNumberOfThreads) {
  const auto c = shapes();
  const auto of = Operands(c).as(torch::kFloat);
  const auto run = [&](int threads) {
    const int before = torch::get_num_threads();
    torch::set_num_threads(threads);
    auto result = all_of(winograd_convolution(of.input, of.weight, of.bias, c.transposed), of);
    torch::set_num_threads(before);
    return result;
  };
  const auto one = run(1), three = run(3);
  for (size_t i = 0; i + 2 < one.size(); ++i) EXPECT_TRUE(torch::equal(one[i], three[i])) << "tensor " << i;
  EXPECT_TRUE(torch::equal(one.back(), three.back()));
}

INSTANTIATE_TEST_SUITE_P(Shapes, Winograd,
                         testing::Combine(testing::ValuesIn(kInstructionSets), testing::ValuesIn(kCases)));

TEST(WinogradConvolution, RefusesTensorsThatDoNotFit) {
  const Case c{3, 16, 32, 8, 8, 3, false};
  const auto of = Operands(c).as(torch::kFloat);
  if (!winograd_applies(of.input, of.weight, 1, 1, false)) GTEST_SKIP();
  EXPECT_FALSE(winograd_applies(torch::zeros({3, 48, 8, 8}), of.weight, 1, 1, false));
  EXPECT_THROW(winograd_convolution(torch::zeros({3, 48, 8, 8}), of.weight, of.bias, false), c10::Error);
  EXPECT_THROW(winograd_convolution(of.input, of.weight, torch::zeros({16}), false), c10::Error);
  EXPECT_THROW(winograd_convolution(of.input, of.weight, torch::zeros({64}).slice(0, 0, 64, 2), false), c10::Error);
  EXPECT_THROW(winograd_weight_gradient(of.input, torch::zeros({2, 32, 8, 8}), 3, false), c10::Error);
}

TEST(WinogradConvolution, TakesThisShareOfTheProducts) {
  EXPECT_DOUBLE_EQ(winograd_product_share(3), 16.0 / 36);
  EXPECT_DOUBLE_EQ(winograd_product_share(4), 36.0 / 64);
}

// What a gradient penalty needs: the gradient of a gradient's norm.
TEST(WinogradConvolution, GradientsCanBeDifferentiated) {
  const Case c{3, 16, 32, 8, 8, 4, false};
  const Operands operands(c);
  const auto penalty_gradient = [&](const Operands& of, const torch::Tensor& output) {
    const auto by_input = torch::autograd::grad({output.square().sum()}, {of.input}, {}, true, true)[0];
    return torch::autograd::grad({by_input.square().sum()}, {of.weight})[0];
  };
  const auto exact = operands.as(torch::kDouble);
  const auto single = operands.as(torch::kFloat);
  if (!winograd_applies(single.input, single.weight, 2, 1, false)) GTEST_SKIP();
  const auto got = penalty_gradient(single, winograd_convolution(single.input, single.weight, single.bias, false));
  EXPECT_LT(relative_error(got, penalty_gradient(exact, plain(exact, c))), 5e-6);
}

TEST(WinogradConvolution, GradientsNobodyWantsAreNotMade) {
  const Case c{3, 16, 32, 8, 8, 3, false};
  auto of = Operands(c).as(torch::kFloat);
  if (!winograd_applies(of.input, of.weight, 1, 1, false)) GTEST_SKIP();
  const auto frozen = winograd_convolution(of.input, of.weight.detach(), of.bias.detach(), false);
  EXPECT_EQ(torch::autograd::grad({frozen}, {of.input}, {of.gradient}).size(), 1U);
  const auto fixed = winograd_convolution(of.input.detach(), of.weight.detach(), of.bias.detach(), false);
  EXPECT_FALSE(fixed.requires_grad());
}

TEST(WinogradConvolution, AppliesWhereItsKernelsDo) {
  const auto image = [](int64_t channels, int64_t height, int64_t width) {
    return torch::zeros({2, channels, height, width});
  };
  const auto filter = [](int64_t outputs, int64_t inputs, int64_t side) {
    return torch::zeros({outputs, inputs, side, side});
  };
  if (!winograd_applies(image(16, 8, 8), filter(32, 16, 3), 1, 1, false)) GTEST_SKIP();
  EXPECT_TRUE(winograd_applies(image(16, 8, 8), filter(32, 16, 4), 2, 1, false));
  EXPECT_TRUE(winograd_applies(image(16, 2, 2), filter(16, 32, 4), 2, 1, true));
  EXPECT_FALSE(winograd_applies(image(3, 8, 8), filter(32, 3, 3), 1, 1, false));  // channels
  EXPECT_FALSE(winograd_applies(image(16, 8, 8), filter(3, 16, 3), 1, 1, false));
  EXPECT_FALSE(winograd_applies(image(16, 7, 8), filter(32, 16, 3), 1, 1, false));  // odd sides
  EXPECT_FALSE(winograd_applies(image(16, 8, 6), filter(32, 16, 4), 2, 1, false));
  EXPECT_FALSE(winograd_applies(image(16, 8, 8), filter(32, 16, 3), 2, 1, false));  // strides and padding
  EXPECT_FALSE(winograd_applies(image(16, 8, 8), filter(32, 16, 4), 1, 1, false));
  EXPECT_FALSE(winograd_applies(image(16, 8, 8), filter(32, 16, 3), 1, 0, false));
  EXPECT_FALSE(winograd_applies(image(16, 8, 8), filter(32, 16, 5), 1, 1, false));  // sides of the filter
  EXPECT_FALSE(winograd_applies(image(16, 8, 8), filter(32, 16, 1), 1, 1, false));
  EXPECT_FALSE(winograd_applies(image(16, 8, 8).to(torch::kDouble), filter(32, 16, 3).to(torch::kDouble), 1, 1, false));
  at::autocast::set_autocast_enabled(at::kCPU, true);
  EXPECT_FALSE(winograd_applies(image(16, 8, 8), filter(32, 16, 3), 1, 1, false));
  at::autocast::set_autocast_enabled(at::kCPU, false);
}

}  // namespace
}  // namespace sgan
