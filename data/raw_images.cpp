#include "data/raw_images.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "configs/error.h"
#include "data/decode_image.h"
#include "data/parallel.h"

namespace sgan {
namespace {

// Grey or BGR, interleaved as OpenCV wants it.
cv::Mat to_mat(const RawImages& images, const uint8_t* first) {
  const auto plane = [&](int64_t c) -> cv::Mat {
    auto* bytes = const_cast<uint8_t*>(first + c * images.height * images.width);
    const int height = static_cast<int>(images.height);
    const int width = static_cast<int>(images.width);
    return images.column_major ? cv::Mat(cv::Mat(width, height, CV_8U, bytes).t())
                               : cv::Mat(height, width, CV_8U, bytes);
  };
  if (images.channels == 1) return plane(0);
  const std::array<cv::Mat, 3> blue_green_red = {plane(2), plane(1), plane(0)};
  cv::Mat merged;
  cv::merge(blue_green_red.data(), blue_green_red.size(), merged);
  return merged;
}

cv::Mat with_channels(const cv::Mat& pixels, int64_t channels) {
  if (pixels.channels() == channels) return pixels;
  cv::Mat converted;
  cv::cvtColor(pixels, converted, channels == 1 ? cv::COLOR_BGR2GRAY : cv::COLOR_GRAY2BGR);
  return converted;
}

void require_square(const RawImages& images, std::string_view what) {
  if (images.height == images.width) return;
  throw UserError(
      fmt::format("{}: the images must be square, but are {}x{}. Set data.size: images are then cut and scaled to it.",
                  what, images.width, images.height));
}

}  // namespace

Dataset convert_raw_images(const std::vector<RawImages>& parts, const DataOptions& options, int64_t threads,
                           const LoadProgress& progress, std::string_view what, const MakeStore& make_store) {
  cv::setNumThreads(0);  // the threads here are the parallelism
  const RawImages& shape = parts.at(0);
  int64_t count = 0;
  for (const RawImages& part : parts) {
    TORCH_CHECK(part.channels == shape.channels && part.height == shape.height && part.width == shape.width &&
                    std::ssize(part.bytes) >= (part.count - 1) * part.stride + part.image_bytes(),
                "raw images of inconsistent shape");
    count += part.count;
  }
  if (options.size == 0) require_square(shape, what);
  const int64_t size = options.size != 0 ? options.size : shape.width;
  const int64_t channels = options.channels != 0 ? options.channels : shape.channels;
  const auto store = make_store({count, channels, size, size});
  FirstError failure;
  const bool as_they_are = channels == shape.channels && size == shape.width && size == shape.height;
  int64_t before = 0;
  for (const RawImages& part : parts) {
    const LoadProgress share =
        !progress ? LoadProgress() : [&](int64_t done, int64_t) { progress(before + done, count); };
    parallel_for(part.count, threads, share, [&](int64_t i) {
      if (failure.any()) return;
      const uint8_t* image = part.bytes.data() + i * part.stride;
      const auto convert = [&](uint8_t* out) {
        if (as_they_are && !part.column_major) {
          std::copy_n(image, part.image_bytes(), out);
        } else {
          store_planes(fit_square(with_channels(to_mat(part, image), channels), size), out);
        }
      };
      try {
        store->put(before + i, convert);
      } catch (...) {
        failure.keep();
      }
    });
    before += part.count;
  }
  failure.rethrow();
  Dataset result;
  result.samples = store->samples();
  result.description =
      fmt::format("{}: {} {} images of {}x{}", what, count, channels == 1 ? "grey" : "RGB", size, size);
  if (size != shape.width || size != shape.height) result.description += fmt::format(", {}", kResizing);
  return result;
}

}  // namespace sgan
