#include "run/webp_animation.h"

#include <fmt/format.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <memory>

#include "configs/error.h"
#include "run/atomic_file.h"

namespace sgan {
namespace {

struct Picture : WebPPicture {
  Picture() { WebPPictureInit(this); }
  ~Picture() { WebPPictureFree(this); }
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;
};

struct Data : WebPData {
  Data() { WebPDataInit(this); }
  ~Data() { WebPDataClear(this); }
  Data(const Data&) = delete;
  Data& operator=(const Data&) = delete;
};

void check(bool succeeded, const std::filesystem::path& path) {
  if (!succeeded) throw UserError(fmt::format("the animation {} could not be encoded", path.string()));
}

}  // namespace

void write_webp_animation(const std::filesystem::path& path, const std::vector<torch::Tensor>& frames,
                          const std::vector<int64_t>& durations_ms) {
  TORCH_CHECK(!frames.empty() && frames.size() == durations_ms.size(), "one duration per frame, at least one frame");
  const auto height = static_cast<int>(frames[0].size(0));
  const auto width = static_cast<int>(frames[0].size(1));

  WebPAnimEncoderOptions options;
  check(WebPAnimEncoderOptionsInit(&options), path);
  const std::unique_ptr<WebPAnimEncoder, decltype(&WebPAnimEncoderDelete)> encoder(
      WebPAnimEncoderNew(width, height, &options), WebPAnimEncoderDelete);
  check(encoder != nullptr, path);
  WebPConfig config;
  check(WebPConfigInit(&config), path);
  config.lossless = 1;

  int64_t time = 0;
  for (size_t i = 0; i < frames.size(); ++i) {
    const auto& frame = frames[i];
    if (frame.size(0) != height || frame.size(1) != width) {
      throw UserError(
          fmt::format("an animation's frames must be of one size: frame 0 has {}×{} pixels, frame {} has "
                      "{}×{}. Draw them with the same sample.count.",
                      width, height, i, frame.size(1), frame.size(0)));
    }
    const auto rgb = frame.expand({height, width, 3}).contiguous();
    Picture picture;
    picture.use_argb = 1;
    picture.width = width;
    picture.height = height;
    check(WebPPictureImportRGB(&picture, rgb.data_ptr<uint8_t>(), width * 3), path);
    check(WebPAnimEncoderAdd(encoder.get(), &picture, static_cast<int>(time), &config), path);
    time += durations_ms[i];
  }
  Data data;
  check(WebPAnimEncoderAdd(encoder.get(), nullptr, static_cast<int>(time), nullptr), path);
  check(WebPAnimEncoderAssemble(encoder.get(), &data), path);
  write_file_atomically(path, {reinterpret_cast<const char*>(data.bytes), data.size});
}

}  // namespace sgan
