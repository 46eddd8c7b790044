#include "models/sn_resnet.h"

#include <gmock/gmock.h>

#include "configs/error.h"
#include "tests/models/paper_table.h"

namespace sgan {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr auto kLinear = OperatorKind::linear;
constexpr auto kConv = OperatorKind::conv;

// Shape of the map that the network sums over its positions.
std::vector<int64_t> summed_map(const NetworkImpl& network) {
  std::vector<int64_t> shape;
  for_each_node(network.composition(), [&](const Node& node, int64_t) {
    const auto* pooling = std::get_if<Pooling>(&node.what);
    if (pooling == nullptr || pooling->kind != Pooling::Kind::sum) return;
    shape = node.input;
    EXPECT_EQ(pooling->window, node.input[1]);
  });
  return shape;
}

// Miyato et al. 2018, table 4 (CIFAR-10).
TEST(SnResnet, GeneratorFor32PixelsIsThePapers) {
  const auto generator = make_generator(published(NetworkKind::sn_resnet), {3, 32, 32});
  expect_table(*generator, {{"linear0", kLinear, 1, 1, {128}, {4096}, 528384},
                            {"block1.conv0", kConv, 3, 1, {256, 8}, {256, 8}, 590080},
                            {"block1.conv1", kConv, 3, 1, {256, 8}, {256, 8}, 590080},
                            {"block1.shortcut", kConv, 1, 1, {256, 8}, {256, 8}, 65792},
                            {"block2.conv0", kConv, 3, 1, {256, 16}, {256, 16}, 590080},
                            {"block2.conv1", kConv, 3, 1, {256, 16}, {256, 16}, 590080},
                            {"block2.shortcut", kConv, 1, 1, {256, 16}, {256, 16}, 65792},
                            {"block3.conv0", kConv, 3, 1, {256, 32}, {256, 32}, 590080},
                            {"block3.conv1", kConv, 3, 1, {256, 32}, {256, 32}, 590080},
                            {"block3.shortcut", kConv, 1, 1, {256, 32}, {256, 32}, 65792},
                            {"conv4", kConv, 3, 1, {256, 32}, {3, 32}, 6915}});
  // and γ, β of seven batch norms of 256 channels
  EXPECT_EQ(count_parameters(*generator), 528384 + 3 * (2 * 590080 + 65792) + 6915 + 7 * 2 * 256);
}

TEST(SnResnet, DiscriminatorFor32PixelsIsThePapers) {
  const auto discriminator = make_discriminator(published(NetworkKind::sn_resnet), {3, 32, 32});
  expect_table(*discriminator, {{"block0.conv0", kConv, 3, 1, {3, 32}, {128, 32}, 3584},
                                {"block0.conv1", kConv, 3, 1, {128, 32}, {128, 32}, 147584},
                                {"block0.shortcut", kConv, 1, 1, {3, 16}, {128, 16}, 512},
                                {"block1.conv0", kConv, 3, 1, {128, 16}, {128, 16}, 147584},
                                {"block1.conv1", kConv, 3, 1, {128, 16}, {128, 16}, 147584},
                                {"block1.shortcut", kConv, 1, 1, {128, 16}, {128, 16}, 16512},
                                {"block2.conv0", kConv, 3, 1, {128, 8}, {128, 8}, 147584},
                                {"block2.conv1", kConv, 3, 1, {128, 8}, {128, 8}, 147584},
                                {"block3.conv0", kConv, 3, 1, {128, 8}, {128, 8}, 147584},
                                {"block3.conv1", kConv, 3, 1, {128, 8}, {128, 8}, 147584},
                                {"linear4", kLinear, 1, 1, {128}, {1}, 128}});
  EXPECT_EQ(summed_map(*discriminator), (std::vector<int64_t>{128, 8, 8}));
}

// Table 5 (STL-10).
TEST(SnResnet, NetworksFor48PixelsAreThePapers) {
  const auto config = published(NetworkKind::sn_resnet);
  expect_table(*make_generator(config, {3, 48, 48}), {{"linear0", kLinear, 1, 1, {128}, {18432}, 2377728},
                                                      {"block1.conv0", kConv, 3, 1, {512, 12}, {256, 12}, 1179904},
                                                      {"block1.conv1", kConv, 3, 1, {256, 12}, {256, 12}, 590080},
                                                      {"block1.shortcut", kConv, 1, 1, {512, 12}, {256, 12}, 131328},
                                                      {"block2.conv0", kConv, 3, 1, {256, 24}, {128, 24}, 295040},
                                                      {"block2.conv1", kConv, 3, 1, {128, 24}, {128, 24}, 147584},
                                                      {"block2.shortcut", kConv, 1, 1, {256, 24}, {128, 24}, 32896},
                                                      {"block3.conv0", kConv, 3, 1, {128, 48}, {64, 48}, 73792},
                                                      {"block3.conv1", kConv, 3, 1, {64, 48}, {64, 48}, 36928},
                                                      {"block3.shortcut", kConv, 1, 1, {128, 48}, {64, 48}, 8256},
                                                      {"conv4", kConv, 3, 1, {64, 48}, {3, 48}, 1731}});
  expect_table(*make_discriminator(config, {3, 48, 48}), {{"block0.conv0", kConv, 3, 1, {3, 48}, {64, 48}, 1792},
                                                          {"block0.conv1", kConv, 3, 1, {64, 48}, {64, 48}, 36928},
                                                          {"block0.shortcut", kConv, 1, 1, {3, 24}, {64, 24}, 256},
                                                          {"block1.conv0", kConv, 3, 1, {64, 24}, {64, 24}, 36928},
                                                          {"block1.conv1", kConv, 3, 1, {64, 24}, {128, 24}, 73856},
                                                          {"block1.shortcut", kConv, 1, 1, {64, 24}, {128, 24}, 8320},
                                                          {"block2.conv0", kConv, 3, 1, {128, 12}, {128, 12}, 147584},
                                                          {"block2.conv1", kConv, 3, 1, {128, 12}, {256, 12}, 295168},
                                                          {"block2.shortcut", kConv, 1, 1, {128, 12}, {256, 12}, 33024},
                                                          {"block3.conv0", kConv, 3, 1, {256, 6}, {256, 6}, 590080},
                                                          {"block3.conv1", kConv, 3, 1, {256, 6}, {512, 6}, 1180160},
                                                          {"block3.shortcut", kConv, 1, 1, {256, 6}, {512, 6}, 131584},
                                                          {"block4.conv0", kConv, 3, 1, {512, 3}, {512, 3}, 2359808},
                                                          {"block4.conv1", kConv, 3, 1, {512, 3}, {1024, 3}, 4719616},
                                                          {"block4.shortcut", kConv, 1, 1, {512, 3}, {1024, 3}, 525312},
                                                          {"linear5", kLinear, 1, 1, {1024}, {1}, 1025}});
}

// The authors' resnet_64.py and snresnet_64.py.
TEST(SnResnet, NetworksFor64PixelsAreTheAuthors) {
  const auto config = published(NetworkKind::sn_resnet);
  const auto generator = make_generator(config, {3, 64, 64});
  expect_table(*generator, {{"linear0", kLinear, 1, 1, {128}, {16384}, 2113536},
                            {"block1.conv0", kConv, 3, 1, {1024, 8}, {512, 8}, 4719104},
                            {"block1.conv1", kConv, 3, 1, {512, 8}, {512, 8}, 2359808},
                            {"block1.shortcut", kConv, 1, 1, {1024, 8}, {512, 8}, 524800},
                            {"block2.conv0", kConv, 3, 1, {512, 16}, {256, 16}, 1179904},
                            {"block2.conv1", kConv, 3, 1, {256, 16}, {256, 16}, 590080},
                            {"block2.shortcut", kConv, 1, 1, {512, 16}, {256, 16}, 131328},
                            {"block3.conv0", kConv, 3, 1, {256, 32}, {128, 32}, 295040},
                            {"block3.conv1", kConv, 3, 1, {128, 32}, {128, 32}, 147584},
                            {"block3.shortcut", kConv, 1, 1, {256, 32}, {128, 32}, 32896},
                            {"block4.conv0", kConv, 3, 1, {128, 64}, {64, 64}, 73792},
                            {"block4.conv1", kConv, 3, 1, {64, 64}, {64, 64}, 36928},
                            {"block4.shortcut", kConv, 1, 1, {128, 64}, {64, 64}, 8256},
                            {"conv5", kConv, 3, 1, {64, 64}, {3, 64}, 1731}});
  // with γ, β of 1024 + 512, 512 + 256, 256 + 128, 128 + 64 and 64 channels
  EXPECT_EQ(count_parameters(*generator), 12220675);
  const auto discriminator = make_discriminator(config, {3, 64, 64});
  expect_table(*discriminator, {{"block0.conv0", kConv, 3, 1, {3, 64}, {64, 64}, 1792},
                                {"block0.conv1", kConv, 3, 1, {64, 64}, {64, 64}, 36928},
                                {"block0.shortcut", kConv, 1, 1, {3, 32}, {64, 32}, 256},
                                {"block1.conv0", kConv, 3, 1, {64, 32}, {64, 32}, 36928},
                                {"block1.conv1", kConv, 3, 1, {64, 32}, {128, 32}, 73856},
                                {"block1.shortcut", kConv, 1, 1, {64, 32}, {128, 32}, 8320},
                                {"block2.conv0", kConv, 3, 1, {128, 16}, {128, 16}, 147584},
                                {"block2.conv1", kConv, 3, 1, {128, 16}, {256, 16}, 295168},
                                {"block2.shortcut", kConv, 1, 1, {128, 16}, {256, 16}, 33024},
                                {"block3.conv0", kConv, 3, 1, {256, 8}, {256, 8}, 590080},
                                {"block3.conv1", kConv, 3, 1, {256, 8}, {512, 8}, 1180160},
                                {"block3.shortcut", kConv, 1, 1, {256, 8}, {512, 8}, 131584},
                                {"block4.conv0", kConv, 3, 1, {512, 4}, {512, 4}, 2359808},
                                {"block4.conv1", kConv, 3, 1, {512, 4}, {1024, 4}, 4719616},
                                {"block4.shortcut", kConv, 1, 1, {512, 4}, {1024, 4}, 525312},
                                {"linear5", kLinear, 1, 1, {1024}, {1}, 1025}});
  EXPECT_EQ(count_parameters(*discriminator), 10141441);
  EXPECT_EQ(summed_map(*discriminator), (std::vector<int64_t>{1024, 2, 2}));  // the last block halves too
}

// Table 6 (ImageNet), without its classes.
TEST(SnResnet, NetworksFor128PixelsAreThePapers) {
  const auto config = published(NetworkKind::sn_resnet);
  const auto generator = make_generator(config, {3, 128, 128});
  expect_table(*generator, {{"linear0", kLinear, 1, 1, {128}, {16384}, 2113536},
                            {"block1.conv0", kConv, 3, 1, {1024, 8}, {1024, 8}, 9438208},
                            {"block1.conv1", kConv, 3, 1, {1024, 8}, {1024, 8}, 9438208},
                            {"block1.shortcut", kConv, 1, 1, {1024, 8}, {1024, 8}, 1049600},
                            {"block2.conv0", kConv, 3, 1, {1024, 16}, {512, 16}, 4719104},
                            {"block2.conv1", kConv, 3, 1, {512, 16}, {512, 16}, 2359808},
                            {"block2.shortcut", kConv, 1, 1, {1024, 16}, {512, 16}, 524800},
                            {"block3.conv0", kConv, 3, 1, {512, 32}, {256, 32}, 1179904},
                            {"block3.conv1", kConv, 3, 1, {256, 32}, {256, 32}, 590080},
                            {"block3.shortcut", kConv, 1, 1, {512, 32}, {256, 32}, 131328},
                            {"block4.conv0", kConv, 3, 1, {256, 64}, {128, 64}, 295040},
                            {"block4.conv1", kConv, 3, 1, {128, 64}, {128, 64}, 147584},
                            {"block4.shortcut", kConv, 1, 1, {256, 64}, {128, 64}, 32896},
                            {"block5.conv0", kConv, 3, 1, {128, 128}, {64, 128}, 73792},
                            {"block5.conv1", kConv, 3, 1, {64, 128}, {64, 128}, 36928},
                            {"block5.shortcut", kConv, 1, 1, {128, 128}, {64, 128}, 8256},
                            {"conv6", kConv, 3, 1, {64, 128}, {3, 128}, 1731}});
  EXPECT_EQ(count_parameters(*generator), 32150787);
  const auto discriminator = make_discriminator(config, {3, 128, 128});
  expect_table(*discriminator, {{"block0.conv0", kConv, 3, 1, {3, 128}, {64, 128}, 1792},
                                {"block0.conv1", kConv, 3, 1, {64, 128}, {64, 128}, 36928},
                                {"block0.shortcut", kConv, 1, 1, {3, 64}, {64, 64}, 256},
                                {"block1.conv0", kConv, 3, 1, {64, 64}, {64, 64}, 36928},
                                {"block1.conv1", kConv, 3, 1, {64, 64}, {128, 64}, 73856},
                                {"block1.shortcut", kConv, 1, 1, {64, 64}, {128, 64}, 8320},
                                {"block2.conv0", kConv, 3, 1, {128, 32}, {128, 32}, 147584},
                                {"block2.conv1", kConv, 3, 1, {128, 32}, {256, 32}, 295168},
                                {"block2.shortcut", kConv, 1, 1, {128, 32}, {256, 32}, 33024},
                                {"block3.conv0", kConv, 3, 1, {256, 16}, {256, 16}, 590080},
                                {"block3.conv1", kConv, 3, 1, {256, 16}, {512, 16}, 1180160},
                                {"block3.shortcut", kConv, 1, 1, {256, 16}, {512, 16}, 131584},
                                {"block4.conv0", kConv, 3, 1, {512, 8}, {512, 8}, 2359808},
                                {"block4.conv1", kConv, 3, 1, {512, 8}, {1024, 8}, 4719616},
                                {"block4.shortcut", kConv, 1, 1, {512, 8}, {1024, 8}, 525312},
                                {"block5.conv0", kConv, 3, 1, {1024, 4}, {1024, 4}, 9438208},
                                {"block5.conv1", kConv, 3, 1, {1024, 4}, {1024, 4}, 9438208},
                                {"linear6", kLinear, 1, 1, {1024}, {1}, 1025}});
  EXPECT_EQ(count_parameters(*discriminator), 29017857);
  EXPECT_EQ(summed_map(*discriminator), (std::vector<int64_t>{1024, 4, 4}));
}

TEST(SnResnet, RefusesSizesItHasNoNetworkFor) {
  const auto config = published(NetworkKind::sn_resnet);
  const auto refusal = ThrowsMessage<UserError>(HasSubstr("it has networks for 32, 48, 64 and 128"));
  EXPECT_THAT([&] { make_generator(config, {3, 40, 40}); }, refusal);
  EXPECT_THAT([&] { make_discriminator(config, {3, 32, 48}); }, refusal);
}

}  // namespace
}  // namespace sgan
