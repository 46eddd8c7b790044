#include "models/dcgan.h"

#include <gmock/gmock.h>

#include "configs/error.h"
#include "tests/models/seeded_network.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Property;
using testing::ThrowsMessage;

TEST(Dcgan, MakesAndJudgesEverySize) {
  struct Size {
    int64_t pixels;
    int64_t base;
    int64_t doublings;
  };
  for (const auto& [pixels, base, doublings] :
       {Size{8, 4, 1}, Size{16, 4, 2}, Size{28, 7, 2}, Size{32, 4, 3}, Size{48, 6, 3}, Size{64, 4, 4}}) {
    SCOPED_TRACE(pixels);
    const auto config = network_config(NetworkKind::dcgan, NormKind::none, WeightKind::none);
    for (const int64_t channels : {1, 3}) {
      const std::vector<int64_t> shape{channels, pixels, pixels};
      const auto generator = make_generator(config, shape);
      const auto discriminator = make_discriminator(config, shape);
      initialize(*generator, 1);
      const auto images = generator->forward(draw_normal({2, 6}, 1), Mode::eval);
      EXPECT_THAT(images.sizes().vec(), ElementsAre(2, channels, pixels, pixels));
      EXPECT_LE(images.abs().max().item<double>(), 1);
      EXPECT_THAT(discriminator->forward(images, Mode::eval).sizes().vec(), ElementsAre(2));
      EXPECT_EQ(generator->layers().size(), doublings + 1);
      EXPECT_EQ(discriminator->layers().size(), doublings + 1);
      EXPECT_EQ(generator->layers().front().second->geometry().kernel, base);
      EXPECT_EQ(discriminator->layers().back().second->geometry().kernel, base);
    }
  }
}

TEST(Dcgan, WidthsDoubleUpToEightTimesTheBase) {
  const auto config = network_config(NetworkKind::dcgan, NormKind::none, WeightKind::none);
  std::vector<int64_t> made;
  std::vector<int64_t> judged;
  const auto generator = make_generator(config, {3, 256, 256});
  for (const auto& [name, layer] : generator->layers()) {
    made.push_back(layer->geometry().out_channels);
  }
  const auto discriminator = make_discriminator(config, {3, 256, 256});
  for (const auto& [name, layer] : discriminator->layers()) {
    judged.push_back(layer->geometry().out_channels);
  }
  EXPECT_THAT(made, ElementsAre(32, 32, 32, 16, 8, 4, 3));
  EXPECT_THAT(judged, ElementsAre(4, 8, 16, 32, 32, 32, 1));
}

TEST(Dcgan, RefusesSizesItCannotMake) {
  const auto config = network_config(NetworkKind::dcgan, NormKind::none, WeightKind::none);
  struct Refused {
    std::vector<int64_t> shape;
    std::string text;
  };
  for (const auto& [shape, text] : {Refused{{3, 30, 30}, "30×30"}, Refused{{3, 32, 16}, "16×32"},
                                    Refused{{1, 9, 9}, "9×9"}, Refused{{1, 4, 4}, "4×4"}}) {
    const auto refusal = ThrowsMessage<UserError>(
        AllOf(HasSubstr("dcgan cannot make images of " + text + " pixels"), HasSubstr("squares of M·2^k pixels"),
              HasSubstr("Resize the images, or set generator.kind and discriminator.kind to mlp")));
    EXPECT_THAT([&] { make_generator(config, shape); }, refusal);
    EXPECT_THAT([&] { make_discriminator(config, shape); }, refusal);
    EXPECT_THAT([&] { make_generator(config, shape); },
                testing::Throws<UserError>(Property(&UserError::kind, UserError::Kind::usage)));
  }
}

}  // namespace
}  // namespace sgan
