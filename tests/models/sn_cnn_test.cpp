#include "models/sn_cnn.h"

#include <gmock/gmock.h>

#include "configs/error.h"
#include "tests/models/paper_table.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr auto kLinear = OperatorKind::linear;
constexpr auto kConv = OperatorKind::conv;
constexpr auto kDeconv = OperatorKind::conv_transpose;

// Miyato et al. 2018, table 3, for CIFAR-10 (M = 4) and STL-10 (M = 6).
TEST(SnCnn, GeneratorIsThePapers) {
  const auto config = published(NetworkKind::sn_cnn);
  const auto generator = make_generator(config, {3, 32, 32});
  expect_table(*generator, {{"linear0", kLinear, 1, 1, {128}, {8192}, 1056768},
                            {"deconv1", kDeconv, 4, 2, {512, 4}, {256, 8}, 2097408},
                            {"deconv2", kDeconv, 4, 2, {256, 8}, {128, 16}, 524416},
                            {"deconv3", kDeconv, 4, 2, {128, 16}, {64, 32}, 131136},
                            {"conv4", kConv, 3, 1, {64, 32}, {3, 32}, 1731}});
  // and γ, β of the three batch norms
  EXPECT_EQ(count_parameters(*generator), 1056768 + 2097408 + 524416 + 131136 + 1731 + 2 * (256 + 128 + 64));

  expect_table(*make_generator(config, {3, 48, 48}), {{"linear0", kLinear, 1, 1, {128}, {18432}, 2377728},
                                                      {"deconv1", kDeconv, 4, 2, {512, 6}, {256, 12}, 2097408},
                                                      {"deconv2", kDeconv, 4, 2, {256, 12}, {128, 24}, 524416},
                                                      {"deconv3", kDeconv, 4, 2, {128, 24}, {64, 48}, 131136},
                                                      {"conv4", kConv, 3, 1, {64, 48}, {3, 48}, 1731}});
}

TEST(SnCnn, DiscriminatorIsThePapers) {
  const auto config = published(NetworkKind::sn_cnn);
  const auto discriminator = make_discriminator(config, {3, 32, 32});
  expect_table(*discriminator, {{"conv0", kConv, 3, 1, {3, 32}, {64, 32}, 1792},
                                {"conv1", kConv, 4, 2, {64, 32}, {64, 16}, 65600},
                                {"conv2", kConv, 3, 1, {64, 16}, {128, 16}, 73856},
                                {"conv3", kConv, 4, 2, {128, 16}, {128, 8}, 262272},
                                {"conv4", kConv, 3, 1, {128, 8}, {256, 8}, 295168},
                                {"conv5", kConv, 4, 2, {256, 8}, {256, 4}, 1048832},
                                {"conv6", kConv, 3, 1, {256, 4}, {512, 4}, 1180160},
                                {"linear7", kLinear, 1, 1, {8192}, {1}, 8193}});
  EXPECT_EQ(count_parameters(*discriminator), 2935873);

  const auto larger = make_discriminator(config, {3, 48, 48});
  EXPECT_EQ(larger->layers().back().second->geometry().in_channels, 512 * 6 * 6);
}

// pytorch-gan-collections, source/models/sngan.py.
TEST(SnCnn, PublicLayoutDoublesTheWidthWhereItHalves) {
  const auto config = published(NetworkKind::sn_cnn_public);
  const auto discriminator = make_discriminator(config, {3, 32, 32});
  expect_table(*discriminator, {{"conv0", kConv, 3, 1, {3, 32}, {64, 32}, 1792},
                                {"conv1", kConv, 4, 2, {64, 32}, {128, 16}, 131200},
                                {"conv2", kConv, 3, 1, {128, 16}, {128, 16}, 147584},
                                {"conv3", kConv, 4, 2, {128, 16}, {256, 8}, 524544},
                                {"conv4", kConv, 3, 1, {256, 8}, {256, 8}, 590080},
                                {"conv5", kConv, 4, 2, {256, 8}, {512, 4}, 2097664},
                                {"conv6", kConv, 3, 1, {512, 4}, {512, 4}, 2359808},
                                {"linear7", kLinear, 1, 1, {8192}, {1}, 8193}});
  // The generator's layers are the paper's; a batch norm follows the first one too.
  const auto paper = make_generator(published(NetworkKind::sn_cnn), {3, 32, 32});
  const auto generator = make_generator(config, {3, 32, 32});
  EXPECT_EQ(count_parameters(*generator), count_parameters(*paper) + 2 * 512);
  EXPECT_TRUE(generator->named_children().contains("norm0"));
  EXPECT_FALSE(paper->named_children().contains("norm0"));
}

TEST(SnCnn, LeakyReluHasThePapersSlope) {
  const auto discriminator = make_discriminator(published(NetworkKind::sn_cnn), {3, 32, 32});
  int64_t count = 0;
  for_each_node(discriminator->composition(), [&](const Node& node, int64_t) {
    const auto* pointwise = std::get_if<Pointwise>(&node.what);
    if (pointwise == nullptr) return;
    ++count;
    EXPECT_EQ(pointwise->activation, Activation::leaky_relu);
    EXPECT_EQ(pointwise->slope, 0.1);
  });
  EXPECT_EQ(count, 7);
}

TEST(SnCnn, RefusesSizesItCannotMake) {
  const auto config = published(NetworkKind::sn_cnn);
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{3, 36, 36}, {3, 32, 40}, {1, 8, 8}}) {
    const auto refusal = ThrowsMessage<UserError>(
        AllOf(HasSubstr("sn_cnn cannot make images of " + std::to_string(shape[2]) + "×" + std::to_string(shape[1])),
              HasSubstr("Set data.size to one of these")));
    EXPECT_THAT([&] { make_generator(config, shape); }, refusal);
    EXPECT_THAT([&] { make_discriminator(config, shape); }, refusal);
  }
}

}  // namespace
}  // namespace sgan
