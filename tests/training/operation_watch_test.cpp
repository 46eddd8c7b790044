#include "training/operation_watch.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <limits>

#include "models/winograd_convolution.h"

namespace sgan {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(OperationWatch, FollowsInfinityToTheOperationThatMadeIt) {
  const OperationWatch watch;
  const auto large = torch::full({3}, 1e38F);
  const auto product = large * 100;
  const auto shifted = (product.view({3, 1}) - 1).t().contiguous();
  EXPECT_EQ(watch.origin_of(product), "aten::mul");
  EXPECT_EQ(watch.origin_of(shifted), "aten::mul");
  EXPECT_EQ(watch.origin_of(shifted.select(0, 0).detach()), "aten::mul");
}

TEST(OperationWatch, NamesTheInnermostOperation) {
  const OperationWatch watch;
  const auto result = torch::linear(torch::full({2, 3}, 1e20F), torch::full({4, 3}, 1e20F));
  EXPECT_THAT(watch.origin_of(result), testing::HasSubstr("mm"));  // which linear calls
}

TEST(OperationWatch, ForgetsWhatWasWrittenOver) {
  auto tensor = torch::zeros({3});
  const OperationWatch watch;
  tensor.log_();
  EXPECT_EQ(watch.origin_of(tensor), "aten::log_");
  tensor.fill_(1);
  tensor.div_(0);
  EXPECT_EQ(watch.origin_of(tensor), "aten::div_");
}

// A masked NaN, as the derivative of a norm at zero has one, is no origin of a later infinity.
TEST(OperationWatch, IsNotMisledByANumberThatWasMasked) {
  const OperationWatch watch;
  const auto zeros = torch::zeros({3});
  const auto masked = torch::where(zeros == 0, torch::ones({3}), zeros / zeros);
  const auto sum = masked.mul(3e38F).add(masked, 3e38F);
  EXPECT_EQ(watch.origin_of(sum), "aten::add");
}

TEST(OperationWatch, NamesWhatChangesTensorsInPlaceWithoutAResult) {
  const auto gradient = torch::full({2}, 1e21F);
  auto parameter = torch::ones({2}), moment = torch::zeros({2}), square = torch::zeros({2}), count = torch::ones({});
  const OperationWatch watch;
  at::_fused_adam_({parameter}, {gradient}, {moment}, {square}, {}, {count}, 1e-3, 0.9, 0.999, 0, 1e-8, false, false);
  ASSERT_TRUE(square.isinf().all().item<bool>());
  EXPECT_EQ(watch.origin_of(square), "aten::_fused_adam_");
  at::_foreach_mul_(std::vector<torch::Tensor>{gradient}, 1e20);
  EXPECT_THAT(watch.origin_of(gradient), testing::HasSubstr("mul"));
}

TEST(OperationWatch, NamesTheBatchNormalizationThatMadeRunningStatisticsInfinite) {
  auto mean = torch::zeros({2}), variance = torch::ones({2});
  const OperationWatch watch;
  const auto input = torch::tensor({{1e20F, 1.F}, {-1e20F, 2.F}});
  torch::batch_norm(input, {}, {}, mean, variance, /*training=*/true, 0.1, 1e-5, /*cudnn_enabled=*/false);
  ASSERT_TRUE(variance[0].isinf().item<bool>());
  EXPECT_THAT(watch.origin_of(variance), testing::HasSubstr("batch_norm"));
}

TEST(OperationWatch, FollowsBackwardPasses) {
  const auto x = torch::full({2}, 1e-30F).requires_grad_();
  const OperationWatch watch;
  const auto y = (x * 1e30F).sum() * 1e30F;
  const auto gradient = torch::autograd::grad({y}, {x})[0];
  ASSERT_TRUE(gradient.isinf().all().item<bool>());
  EXPECT_EQ(watch.origin_of(gradient), "aten::mul");
}

// Reserved memory holds what freed tensors left. Here it is given, so that what it holds is no chance.
TEST(OperationWatch, DoesNotBlameWhatReservesMemory) {
  auto resized = torch::full({8}, kNan), emptied = torch::full({8}, kNan), source = torch::full({8}, kNan);
  const OperationWatch watch;
  resized.resize_({4});
  EXPECT_EQ(watch.origin_of(resized), "");
  emptied.resize_({0}).resize_({6});
  EXPECT_EQ(watch.origin_of(emptied), "");
  auto other = torch::zeros({1});
  other.set_(source);
  EXPECT_EQ(watch.origin_of(other), "");
  // What is then written there says where that comes from.
  resized.fill_(1e38F).mul_(100);
  EXPECT_THAT(watch.origin_of(resized), testing::HasSubstr("mul"));
  at::mul_out(emptied, torch::full({6}, 1e38F), torch::full({6}, 100.F));
  EXPECT_THAT(watch.origin_of(emptied), testing::HasSubstr("mul"));
}

TEST(OperationWatch, DoesNotBlameViews) {
  const auto given = torch::full({2, 3}, kNan);
  auto laid_out = torch::full({2, 3}, kNan);
  const OperationWatch watch;
  for (const auto& view : {given.view({6}), given.t(), given.select(0, 1), given.expand({4, 2, 3}), given.detach(),
                           given.reshape({3, 2}), given.as_strided({2}, {1}), given.chunk(2)[1]}) {
    EXPECT_EQ(watch.origin_of(view), "") << view.sizes();
  }
  laid_out.t_().unsqueeze_(0).squeeze_(0).transpose_(0, 1).as_strided_({6}, {1});
  EXPECT_EQ(watch.origin_of(laid_out), "");
}

TEST(OperationWatch, DoesNotBlameWhatPassesOnGivenNumbers) {
  const auto given = torch::full({3}, kNan);
  const OperationWatch watch;
  EXPECT_EQ(watch.origin_of(given), "");
  EXPECT_EQ(watch.origin_of((given * 2).to(torch::kDouble)), "");
  given.mul_(3);
  EXPECT_EQ(watch.origin_of(given), "");
}

// Its kernels write to memory that no operation of LibTorch's sees.
TEST(OperationWatch, SeesTheProjectsConvolution) {
  const auto images = torch::full({1, 16, 4, 4}, 1e20F), weight = torch::full({16, 16, 3, 3}, 1e20F);
  if (!winograd_applies(images, weight, 1, 1, false)) GTEST_SKIP() << "no kernels for this processor";
  const OperationWatch watch;
  auto result = winograd_convolution(images, weight, {}, false);
  torch::leaky_relu_(result, 0.1);
  ASSERT_FALSE(result.isfinite().all().item<bool>());
  EXPECT_EQ(watch.origin_of(result), "sgan::winograd_convolution");
}

// A freed tensor's memory goes to the next one of its size, which holds the same until it is written over.
TEST(OperationWatch, ForgetsFreedTensors) {
  const auto zeros = torch::zeros({1000}), large = torch::full({1000}, 1e38F);
  const OperationWatch watch;
  for (int i = 0; i < 20; ++i) {
    { const auto freed = zeros.log(); }
    auto next = torch::empty({1000});
    at::mul_out(next, large, large);
    ASSERT_THAT(watch.origin_of(next), testing::HasSubstr("mul"));
  }
}

TEST(OperationWatch, EndsAndMayBeginAgain) {
  torch::Tensor before;
  {
    const OperationWatch watch;
    EXPECT_THROW(OperationWatch{}, c10::Error);
    before = torch::zeros({2}).log();
    EXPECT_EQ(watch.origin_of(before), "aten::log");
  }
  const auto between = torch::full({2}, 1.F) * kInfinity;
  const OperationWatch watch;
  EXPECT_EQ(watch.origin_of(before), "");
  EXPECT_EQ(watch.origin_of(between), "");
}

}  // namespace
}  // namespace sgan
