#include "models/factory.h"

#include <gtest/gtest.h>

#include "tests/models/seeded_network.h"

namespace sgan {
namespace {

TEST(Factory, CoversEveryArchitecture) {
  for (const auto& [kind, name] : Names<NetworkKind>::table) {
    SCOPED_TRACE(name);
    const auto config = network_config(kind, NormKind::none, WeightKind::none);
    EXPECT_NE(make_generator(config, small_shape(kind)), nullptr);
    EXPECT_NE(make_discriminator(config, small_shape(kind)), nullptr);
  }
}

TEST(Factory, CountsWhatIsTrained) {
  // Widths 6, 4, 4, 2 and 2, 4, 4, 1 with biases; u and v are kept, not trained; weight_norm has a gain for each output
  // too.
  for (const auto& [weight, name] : Names<WeightKind>::table) {
    const int64_t gain = weight == WeightKind::weight_norm ? 1 : 0;
    const auto config = network_config(NetworkKind::mlp, NormKind::none, weight);
    EXPECT_EQ(count_parameters(*make_generator(config, {2})), (7 + gain) * 4 + (5 + gain) * 4 + (5 + gain) * 2) << name;
    EXPECT_EQ(count_parameters(*make_discriminator(config, {2})), (3 + gain) * 4 + (5 + gain) * 4 + (5 + gain) * 1)
        << name;
  }
  // deconv0 6→8 of 4×4, norm0, deconv1 8→4, norm1, deconv2 4→1 with a bias: no bias before a norm.
  const auto config = network_config(NetworkKind::dcgan, NormKind::batch, WeightKind::none);
  EXPECT_EQ(count_parameters(*make_generator(config, {1, 16, 16})), 16 * (6 * 8 + 8 * 4 + 4 * 1) + 2 * (8 + 4) + 1);
}

}  // namespace
}  // namespace sgan
