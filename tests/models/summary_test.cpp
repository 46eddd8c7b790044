#include "models/summary.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/models/seeded_network.h"

namespace sgan {
namespace {

TEST(Summary, SumsToTheNetworksParameters) {
  for (const auto& [kind, name] : Names<NetworkKind>::table) {
    SCOPED_TRACE(name);
    const auto config = network_config(kind, NormKind::batch, WeightKind::spectral);
    for (const auto& network :
         {make_generator(config, small_shape(kind)), make_discriminator(config, small_shape(kind))}) {
      int64_t parameters = 0;
      for (const auto& row : summarize(*network)) parameters += row.parameters;
      EXPECT_EQ(parameters, count_parameters(*network));
    }
  }
}

// By hand: a 4×4 convolution of stride 2 from 1 to 4 channels on 16×16 makes 8×8 outputs of 16 products each.
TEST(Summary, CountsMultiplyAdds) {
  const auto config = network_config(NetworkKind::dcgan, NormKind::none, WeightKind::spectral);
  const auto discriminator = make_discriminator(config, {1, 16, 16});
  const auto rows = summarize(*discriminator);
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0].name, "conv0");
  EXPECT_EQ(rows[0].operation, "conv 4×4, stride 2");
  EXPECT_EQ(rows[0].output, (std::vector<int64_t>{4, 8, 8}));
  EXPECT_EQ(rows[0].weight, "spectral");
  EXPECT_EQ(rows[0].parameters, 4 * 16 + 4);
  EXPECT_EQ(rows[0].multiply_adds, 4 * 8 * 8 * 16);
  EXPECT_EQ(rows[1].operation, "leaky ReLU 0.2");
  EXPECT_EQ(rows[1].multiply_adds, 0);
  EXPECT_EQ(rows[2].multiply_adds, 8 * 4 * 4 * 4 * 16);
  EXPECT_EQ(rows[4].multiply_adds, 8 * 4 * 4);

  // Transposed: each of the 4×4 inputs of 8 channels meets the whole 4×4 kernel of 4 outputs.
  const auto generator = make_generator(config, {1, 16, 16});
  const auto made = summarize(*generator);
  EXPECT_EQ(made[2].name, "deconv1");
  EXPECT_EQ(made[2].multiply_adds, 4 * 4 * 8 * 4 * 16);
}

TEST(Summary, ShowsBlocksBeforeWhatIsInThem) {
  const auto config = network_config(NetworkKind::sn_resnet, NormKind::none, WeightKind::none);
  const auto discriminator = make_discriminator(config, {3, 32, 32});
  const auto rows = summarize(*discriminator);
  EXPECT_EQ(rows[0].name, "block0");
  EXPECT_EQ(rows[0].operation, "residual block");
  EXPECT_EQ(rows[0].output, (std::vector<int64_t>{8, 16, 16}));
  EXPECT_EQ(rows[1].name, "block0.conv0");
  EXPECT_EQ(rows[1].depth, 1);
  EXPECT_EQ(rows[4].operation, "average pool 2×2");
  EXPECT_FALSE(rows[4].shortcut);
  EXPECT_EQ(rows[5].operation, "average pool 2×2");
  EXPECT_TRUE(rows[5].shortcut);
  EXPECT_EQ(rows[6].name, "block0.shortcut");
  EXPECT_EQ(rows.back().name, "linear4");
  EXPECT_EQ(rows[rows.size() - 2].operation, "sum over positions");
}

}  // namespace
}  // namespace sgan
