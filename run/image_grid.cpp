#include "run/image_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "configs/error.h"
#include "run/atomic_file.h"

namespace sgan {
namespace {

constexpr int64_t kMinCell = 32;
constexpr int kWhite = 255;

using Colour = std::array<float, 3>;
constexpr Colour kReferenceColour = {150, 150, 150};
constexpr Colour kPointColour = {31, 96, 180};

// Blends a disc around each point into canvas: (pixels, pixels, 3) floats.
void draw_points(torch::Tensor& canvas, const torch::Tensor& points, double extent, double radius, float opacity,
                 const Colour& colour) {
  const torch::Tensor positions = points.detach().to(torch::kCPU, torch::kFloat64).contiguous();
  const auto xy = positions.accessor<double, 2>();
  auto image = canvas.accessor<float, 3>();
  const int64_t pixels = canvas.size(0);
  const double scale = static_cast<double>(pixels) / (2 * extent);
  const auto clip = [pixels](double position) { return std::clamp<int64_t>(std::llround(position), 0, pixels); };
  for (int64_t i = 0; i < positions.size(0); ++i) {
    if (!(std::abs(xy[i][0]) <= 2 * extent && std::abs(xy[i][1]) <= 2 * extent)) continue;  // also what is not finite
    const double x = (extent + xy[i][0]) * scale;
    const double y = (extent - xy[i][1]) * scale;
    for (int64_t row = clip(y - radius - 1); row < clip(y + radius + 1); ++row) {
      for (int64_t column = clip(x - radius - 1); column < clip(x + radius + 1); ++column) {
        const double distance = std::hypot(static_cast<double>(column) + 0.5 - x, static_cast<double>(row) + 0.5 - y);
        const float alpha = opacity * static_cast<float>(std::clamp(radius + 0.5 - distance, 0.0, 1.0));
        for (size_t channel = 0; channel < colour.size(); ++channel) {
          float& value = image[row][column][static_cast<int64_t>(channel)];
          value += alpha * (colour[channel] - value);
        }
      }
    }
  }
}

}  // namespace

torch::Tensor to_uint8(const torch::Tensor& images) {
  return ((images.detach().to(torch::kCPU, torch::kFloat32) + 1) * 127.5).round().clamp(0, 255).to(torch::kUInt8);
}

torch::Tensor image_grid(const torch::Tensor& images, int64_t columns, int64_t padding) {
  TORCH_CHECK(images.dim() == 4 && images.size(0) >= 1 && (images.size(1) == 1 || images.size(1) == 3),
              "image_grid needs images (N, 1 or 3, H, W), got ", images.sizes());
  TORCH_CHECK(columns >= 1 && padding >= 0, "image_grid got ", columns, " columns and padding ", padding);
  const int64_t side = std::min(images.size(2), images.size(3));
  const int64_t factor = (std::max(kMinCell, side) + side - 1) / side;
  torch::Tensor cells = to_uint8(images).repeat_interleave(factor, 2).repeat_interleave(factor, 3);

  // Every cell carries padding above and to the left; the last row and column of it close the grid.
  const auto pad = [](const torch::Tensor& tensor, std::vector<int64_t> sides) {
    return torch::constant_pad_nd(tensor, sides, kWhite);
  };
  cells = pad(cells, {padding, 0, padding, 0});
  columns = std::min(columns, cells.size(0));
  const int64_t rows = (cells.size(0) + columns - 1) / columns;
  cells = pad(cells, {0, 0, 0, 0, 0, 0, 0, rows * columns - cells.size(0)});
  const int64_t height = cells.size(2), width = cells.size(3);
  const torch::Tensor grid = cells.view({rows, columns, -1, height, width})
                                 .permute({2, 0, 3, 1, 4})
                                 .reshape({-1, rows * height, columns * width});
  return pad(grid, {0, padding, 0, padding}).permute({1, 2, 0}).contiguous();
}

torch::Tensor plot_points(const torch::Tensor& points, const torch::Tensor& reference, double extent, int64_t pixels) {
  for (const torch::Tensor& set : {points, reference}) {
    TORCH_CHECK(set.dim() == 2 && set.size(1) == 2, "plot_points needs points (N, 2), got ", set.sizes());
  }
  TORCH_CHECK(extent > 0 && pixels >= 1, "plot_points got extent ", extent, " and ", pixels, " pixels");
  torch::Tensor canvas = torch::full({pixels, pixels, 3}, static_cast<float>(kWhite));
  const double radius = static_cast<double>(pixels) / 256;
  draw_points(canvas, reference, extent, radius, 0.35F, kReferenceColour);
  draw_points(canvas, points, extent, radius, 0.7F, kPointColour);
  return canvas.round().to(torch::kUInt8);
}

void write_png(const std::filesystem::path& path, const torch::Tensor& rgb) {
  TORCH_CHECK(rgb.dim() == 3 && (rgb.size(2) == 1 || rgb.size(2) == 3) && rgb.scalar_type() == torch::kUInt8,
              "write_png needs uint8 (H, W, 1 or 3), got ", rgb.scalar_type(), " ", rgb.sizes());
  torch::Tensor bgr = rgb.cpu().flip(2).contiguous();  // OpenCV's order of colours
  const cv::Mat image(static_cast<int>(bgr.size(0)), static_cast<int>(bgr.size(1)),
                      CV_8UC(static_cast<int>(bgr.size(2))), bgr.mutable_data_ptr());
  std::vector<unsigned char> bytes;
  if (!cv::imencode(".png", image, bytes)) throw std::runtime_error("OpenCV cannot encode PNG");
  write_file_atomically(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

torch::Tensor read_png(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
  const cv::Mat image = bytes.empty() ? cv::Mat() : cv::imdecode(raw, cv::IMREAD_COLOR);
  if (image.empty()) throw UserError(fmt::format("{} is no image that can be read", path.string()));
  return torch::from_blob(image.data, {image.rows, image.cols, 3}, torch::kUInt8).flip(2).contiguous();
}

}  // namespace sgan
