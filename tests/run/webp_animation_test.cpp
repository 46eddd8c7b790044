#include "run/webp_animation.h"

#include <gmock/gmock.h>
#include <webp/demux.h>

#include "configs/error.h"
#include "run/atomic_file.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

torch::Tensor plain(uint8_t red, uint8_t green, uint8_t blue) {
  return torch::tensor({red, green, blue}, torch::kUInt8).expand({4, 6, 3});
}

TEST(WebpAnimation, KeepsEveryFrameAndItsTimeLosslessly) {
  const TemporaryFolder folder;
  const auto path = folder / "a.webp";
  write_webp_animation(path, {plain(255, 0, 10), plain(1, 2, 3), torch::full({4, 6, 1}, 77, torch::kUInt8)},
                       {100, 50, 700});
  const auto bytes = read_file(path);
  const WebPData data{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  WebPAnimDecoder* decoder = WebPAnimDecoderNew(&data, nullptr);
  ASSERT_NE(decoder, nullptr);
  std::vector<int> ends;
  std::vector<std::vector<int>> pixels;
  uint8_t* rgba = nullptr;
  for (int end = 0; WebPAnimDecoderGetNext(decoder, &rgba, &end);) {
    ends.push_back(end);
    pixels.push_back({rgba[0], rgba[1], rgba[2]});
  }
  WebPAnimDecoderDelete(decoder);
  EXPECT_EQ(ends, (std::vector<int>{100, 150, 850}));
  EXPECT_EQ(pixels, (std::vector<std::vector<int>>{{255, 0, 10}, {1, 2, 3}, {77, 77, 77}}));
}

TEST(WebpAnimation, FramesOfTwoSizesAreNamed) {
  const TemporaryFolder folder;
  const auto other = torch::zeros({4, 7, 3}, torch::kUInt8);
  EXPECT_THAT(
      [&] {
        write_webp_animation(folder / "a.webp", {plain(0, 0, 0), other}, {1, 1});
      },
      ThrowsMessage<UserError>(HasSubstr("frame 0 has 6×4 pixels, frame 1 has 7×4")));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace sgan
