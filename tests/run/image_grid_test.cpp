#include "run/image_grid.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <opencv2/imgcodecs.hpp>

#include "run/atomic_file.h"
#include "run/random_streams.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

std::array<int, 3> pixel(const torch::Tensor& image, int64_t row, int64_t column) {
  const auto values = image.accessor<uint8_t, 3>();
  return {values[row][column][0], values[row][column][1], values[row][column][2]};
}

constexpr std::array<int, 3> kWhite = {255, 255, 255};

TEST(ToUint8, RoundsAndClamps) {
  const torch::Tensor values = to_uint8(torch::tensor({-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0}));
  // (x + 1) · 127.5, halves to even: 63.75, 127.5, 191.25
  EXPECT_TRUE(values.equal(torch::tensor({0, 0, 64, 128, 191, 255, 255}, torch::kUInt8))) << values;
}

TEST(ToUint8, EveryByteSurvives) {
  const torch::Tensor bytes = torch::arange(256, torch::kUInt8);
  EXPECT_TRUE(to_uint8(bytes.to(torch::kFloat32) / 127.5 - 1).equal(bytes));
}

TEST(ImageGrid, PlacesImagesRowByRow) {
  const torch::Tensor images = torch::full({5, 3, 32, 48}, -1.0);
  for (int64_t i = 0; i < 5; ++i) images[i][0].fill_(-1 + 0.4 * static_cast<double>(i));
  const torch::Tensor grid = image_grid(images, 3);
  ASSERT_EQ(grid.sizes(), torch::IntArrayRef({2 + 2 * 34, 2 + 3 * 50, 3}));
  EXPECT_EQ(pixel(grid, 0, 0), kWhite);
  EXPECT_EQ(pixel(grid, 1, 2), kWhite);
  EXPECT_EQ(pixel(grid, 2, 2), (std::array{0, 0, 0}));
  EXPECT_EQ(pixel(grid, 33, 49), (std::array{0, 0, 0}));
  EXPECT_EQ(pixel(grid, 33, 50), kWhite);
  EXPECT_EQ(pixel(grid, 2, 52), (std::array{51, 0, 0}));
  EXPECT_EQ(pixel(grid, 2, 102), (std::array{102, 0, 0}));
  EXPECT_EQ(pixel(grid, 36, 52), (std::array{204, 0, 0}));
  EXPECT_EQ(pixel(grid, 40, 110), kWhite);  // the missing sixth
  EXPECT_EQ(pixel(grid, 69, 151), kWhite);
}

TEST(ImageGrid, EnlargesSmallImagesByWholePixels) {
  const torch::Tensor image = torch::tensor({{-1.0, 1.0}, {0.2, -0.2}}).view({1, 1, 2, 2});
  const torch::Tensor grid = image_grid(image, 8, 0);
  ASSERT_EQ(grid.sizes(), torch::IntArrayRef({32, 32, 1}));
  EXPECT_TRUE(grid.slice(0, 0, 16).slice(1, 0, 16).eq(0).all().item<bool>());
  EXPECT_TRUE(grid.slice(0, 0, 16).slice(1, 16, 32).eq(255).all().item<bool>());
  EXPECT_TRUE(grid.slice(0, 16, 32).slice(1, 0, 16).eq(153).all().item<bool>());
  EXPECT_EQ(image_grid(torch::zeros({1, 1, 28, 28}), 1, 0).size(0), 56);
  EXPECT_EQ(image_grid(torch::zeros({1, 1, 64, 64}), 1, 0).size(0), 64);
}

TEST(ImageGrid, SaysWhatItGot) {
  EXPECT_THROW(image_grid(torch::zeros({1, 2, 8, 8}), 1), c10::Error);
  EXPECT_THROW(image_grid(torch::zeros({0, 3, 8, 8}), 1), c10::Error);
}

TEST(PlotPoints, DrawsXToTheRightAndYUp) {
  const torch::Tensor image =
      plot_points(torch::tensor({{0.5, 0.75}}), torch::tensor({{-0.5, -0.75}}), /*extent=*/1.0, /*pixels=*/400);
  ASSERT_EQ(image.sizes(), torch::IntArrayRef({400, 400, 3}));
  const auto blue = pixel(image, 50, 300);
  EXPECT_GT(blue[2], blue[0] + 50);
  const auto grey = pixel(image, 350, 100);
  EXPECT_EQ(grey[0], grey[2]);
  EXPECT_LT(grey[0], 255);
  EXPECT_EQ(pixel(image, 50, 100), kWhite);
  EXPECT_EQ(pixel(image, 200, 200), kWhite);
}

// A disc of radius r covers π r² pixels wherever its centre falls, up to the resolution of its edge.
TEST(PlotPoints, IsAntialiased) {
  const auto ink = [](double offset) {
    const torch::Tensor image = plot_points(torch::tensor({{offset, offset}}), torch::empty({0, 2}), 256.0, 512);
    return (255 - image.to(torch::kFloat64)).select(2, 0).sum().item<double>() / (0.7 * (255 - 31));
  };
  for (const double offset : {0.0, 0.25, 0.4}) EXPECT_NEAR(ink(offset), M_PI * 4, 0.1 * M_PI * 4);
}

TEST(PlotPoints, SkipsWhatIsOutsideOrNotFinite) {
  const double infinity = std::numeric_limits<double>::infinity();
  const torch::Tensor points =
      torch::tensor({{std::nan(""), 0.0}, {infinity, 0.0}, {0.0, -1e300}, {5.0, 0.0}}, torch::kFloat64);
  EXPECT_TRUE(plot_points(points, torch::empty({0, 2}), 1.0, 64).eq(255).all().item<bool>());
  EXPECT_FALSE(plot_points(torch::tensor({{1.0, 1.0}}), torch::empty({0, 2}), 1.0, 64).eq(255).all().item<bool>());
}

TEST(WritePng, ReadsBackAsWritten) {
  const TemporaryFolder folder;
  for (const int channels : {1, 3}) {
    const torch::Tensor image = at::randint(256, {5, 7, channels}, make_generator(1, torch::kCPU), torch::kUInt8);
    write_png(folder / "a.png", image);
    cv::Mat read = cv::imread((folder / "a.png").string(), cv::IMREAD_UNCHANGED);
    ASSERT_EQ(read.channels(), channels);
    const torch::Tensor bgr = torch::from_blob(read.data, {read.rows, read.cols, channels}, torch::kUInt8);
    EXPECT_TRUE(bgr.flip(2).equal(image));
    EXPECT_TRUE(read_png(folder / "a.png").equal(image.expand({5, 7, 3})));
  }
  EXPECT_THROW(read_png(folder / "none.png"), UserError);
  write_file_atomically(folder / "text.png", "no image");
  EXPECT_THROW(read_png(folder / "text.png"), UserError);
  EXPECT_THROW(write_png(folder / "b.png", torch::zeros({5, 7, 3})), c10::Error);
  EXPECT_THROW(write_png(folder / "none/b.png", torch::zeros({5, 7, 3}, torch::kUInt8)), UserError);
}

}  // namespace
}  // namespace sgan
