#include "normalization/operator_geometry.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

namespace sgan {
namespace {

TEST(OperatorGeometry, AgreesWithPyTorchsModules) {
  for (const int64_t kernel : {1, 3, 4}) {
    for (const int64_t stride : {1, 2}) {
      for (const int64_t padding : {0, 1}) {
        for (const int64_t size : {4, 7}) {
          OperatorGeometry geometry{OperatorKind::conv, 3, 5, kernel, stride, padding, size};
          const auto input = torch::zeros({1, 3, size, size});
          torch::nn::Conv2d conv(torch::nn::Conv2dOptions(3, 5, kernel).stride(stride).padding(padding));
          EXPECT_EQ(torch::IntArrayRef(geometry.weight_shape()), conv->weight.sizes());
          EXPECT_EQ(geometry.out_size(), conv(input).size(2)) << kernel << " " << stride << " " << padding;
          EXPECT_EQ(conv->weight.size(geometry.output_dim()), geometry.out_channels);

          geometry.kind = OperatorKind::conv_transpose;
          torch::nn::ConvTranspose2d deconv(
              torch::nn::ConvTranspose2dOptions(3, 5, kernel).stride(stride).padding(padding));
          EXPECT_EQ(torch::IntArrayRef(geometry.weight_shape()), deconv->weight.sizes());
          EXPECT_EQ(geometry.out_size(), deconv(input).size(2)) << kernel << " " << stride << " " << padding;
          EXPECT_EQ(deconv->weight.size(geometry.output_dim()), geometry.out_channels);
          EXPECT_EQ(geometry.fan_in(), 5 * kernel * kernel);
        }
      }
    }
  }
  const OperatorGeometry linear{.in_channels = 3, .out_channels = 5};
  EXPECT_EQ(torch::IntArrayRef(linear.weight_shape()), torch::nn::Linear(3, 5)->weight.sizes());
  EXPECT_EQ(linear.out_size(), 1);
  EXPECT_EQ(linear.fan_in(), 3);
  EXPECT_EQ(linear.output_dim(), 0);
}

}  // namespace
}  // namespace sgan
