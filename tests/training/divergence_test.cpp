#include "training/divergence.h"

#include <gmock/gmock.h>
#include <torch/utils.h>

#include <limits>

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Property;
using testing::Throws;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(FiniteFlag, OnACpuThrowsAtOnceAndNamesTheLoss) {
  FiniteFlag flag(torch::kCPU);
  flag.record(1, {{"loss_d", torch::tensor(1.0F)}, {"penalty", {}}});
  EXPECT_NO_THROW(flag.check());
  EXPECT_THAT(
      [&] {
        flag.record(7, {{"loss_d", torch::tensor(2.0F)}, {"penalty", torch::tensor(-kInfinity)}});
      },
      Throws<DivergenceError>(
          AllOf(Property(&DivergenceError::step, 7),
                Property(&DivergenceError::what, HasSubstr("penalty is minus infinite at step 7")))));
  EXPECT_THAT(
      [&] {
        flag.record(8, {{"loss_g", torch::tensor(std::nanf(""))}});
      },
      Throws<DivergenceError>(Property(&DivergenceError::what, HasSubstr("loss_g is NaN at step 8"))));
}

}  // namespace
}  // namespace sgan
