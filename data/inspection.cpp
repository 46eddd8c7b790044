#include "data/inspection.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>

#include "data/decode_image.h"
#include "data/guess_kind.h"
#include "data/idx.h"
#include "data/image_archive.h"
#include "data/image_folder.h"
#include "data/load.h"
#include "data/source_labels.h"
#include "data/split_folder.h"

namespace sgan {
namespace {

constexpr int64_t kThumbnail = 64;
constexpr size_t kExamples = 10;

// Positions of `count` of n images: the first, the last and others at equal distances.
std::vector<int64_t> spread(int64_t n, int64_t count) {
  count = std::min(n, count);
  std::vector<int64_t> positions;
  for (int64_t i = 0; i < count; ++i) positions.push_back(count == 1 ? 0 : i * (n - 1) / (count - 1));
  return positions;
}

void count_classes(const std::vector<int64_t>& labels, const std::vector<std::string>& classes, Inspection& result) {
  for (const std::string& name : classes) result.classes.emplace_back(name, 0);
  for (const int64_t label : labels) ++result.classes[label].second;
}

// Gathers what is known of images that are decoded on several threads.
class Gatherer {
 public:
  Gatherer(const std::vector<SourceImage>& images, const SplitSelection& split, int64_t sheet)
      : images_(images), split_(split) {
    for (const int64_t i : spread(std::ssize(split.images), sheet))
      thumbnails_.emplace(split.images[i], torch::Tensor());
  }

  void take(int64_t i, std::span<const uint8_t> bytes, std::string_view error) {
    DecodedImage decoded = error.empty() ? decode_image(bytes, 0) : DecodedImage{{}, std::string(error)};
    const auto wanted = thumbnails_.find(i);
    if (!decoded.pixels.empty() && wanted != thumbnails_.end()) wanted->second = thumbnail(decoded.pixels);
    const std::scoped_lock lock(mutex_);
    if (decoded.pixels.empty()) {
      errors_[i] = decoded.error;
    } else {
      ++sizes_[{decoded.pixels.cols, decoded.pixels.rows}];
      grey_ += decoded.pixels.channels() == 1 ? 1 : 0;
    }
  }

  void report(Inspection& result) {
    result.sizes = sizes_;
    result.grey = grey_;
    result.unreadable = std::ssize(errors_);
    for (const auto& [i, error] : errors_) {
      if (result.unreadable_examples.size() == kExamples) break;
      result.unreadable_examples.push_back(fmt::format("{} {}", images_[i].name, error));
    }
    std::vector<int64_t> readable;
    for (const int64_t i : split_.images) {
      if (!errors_.contains(i)) readable.push_back(i);
    }
    result.readable = std::ssize(readable);
    if (readable.empty()) return;
    const SourceLabels labels = label_images(images_, split_, readable);
    count_classes(labels.labels, labels.classes, result);
    std::vector<torch::Tensor> sheet;
    for (const auto& [i, image] : thumbnails_) {
      if (image.defined()) sheet.push_back(image);
    }
    if (!sheet.empty()) result.sheet = torch::stack(sheet);
  }

 private:
  static torch::Tensor thumbnail(const cv::Mat& pixels) {
    cv::Mat image = fit_square(pixels, kThumbnail);
    if (image.channels() == 1) cv::cvtColor(image, image, cv::COLOR_GRAY2BGR);
    torch::Tensor planes = torch::empty({3, kThumbnail, kThumbnail}, torch::kUInt8);
    store_planes(image, planes.data_ptr<uint8_t>());
    return planes;
  }

  const std::vector<SourceImage>& images_;
  const SplitSelection& split_;
  std::map<int64_t, torch::Tensor> thumbnails_;  // by index; each is set by one thread
  std::mutex mutex_;
  std::map<ImageSize, int64_t> sizes_;
  int64_t grey_ = 0;
  std::map<int64_t, std::string> errors_;
};

void inspect_source(const ImageSource& source, Split wanted, int64_t sheet, int64_t threads,
                    const LoadProgress& progress, Inspection& result) {
  cv::setNumThreads(0);  // the threads here are the parallelism
  const SplitSelection split = select_split(source, wanted);
  result.source = source.what() + (split.folder.empty() ? "" : ", folder " + split.folder);
  Gatherer gatherer(source.images(), split, sheet);
  source.read(split.images, threads, progress, [&](int64_t i, std::span<const uint8_t> bytes, std::string_view error) {
    gatherer.take(i, bytes, error);
  });
  gatherer.report(result);
}

void inspect_binary(const DataOptions& options, int64_t sheet, int64_t threads, const LoadProgress& progress,
                    Inspection& result) {
  DataOptions square = options;
  std::optional<ImageSize> size;  // where it is not that of the samples
  if (options.kind == DataKind::idx) size = idx_image_size(options);
  if (size && size->width != size->height) square.size = std::min(size->width, size->height);
  const Dataset dataset = load_dataset(square, 0, threads, progress);
  const auto shape = dataset.sample_shape();
  result.source = dataset.description.substr(0, dataset.description.find(": "));
  result.readable = dataset.size();
  result.grey = shape[0] == 1 ? dataset.size() : 0;
  result.sizes[size.value_or(ImageSize{shape[2], shape[1]})] = dataset.size();
  count_classes(dataset.labels, dataset.classes, result);
  const auto positions = torch::tensor(spread(dataset.size(), sheet), torch::kInt64);
  result.sheet = dataset.samples.index_select(0, positions).expand({-1, 3, -1, -1});
}

}  // namespace

int64_t Inspection::suggested_size() const {
  if (sizes.empty()) return 0;
  std::vector<std::pair<int64_t, int64_t>> sides;
  for (const auto& [size, count] : sizes) sides.emplace_back(std::min(size.width, size.height), count);
  std::ranges::sort(sides);
  int64_t median = 0;
  int64_t before = 0;
  for (const auto& [side, count] : sides) {
    if (before <= readable / 2) median = side;
    before += count;
  }
  int64_t suggested = 8;
  while (suggested < 256 && suggested * 2 * 7 <= median * 8) suggested *= 2;
  return suggested;
}

Inspection inspect_data(const DataOptions& options, int64_t sheet, int64_t threads, const LoadProgress& progress) {
  Inspection result;
  result.kind = options.kind == DataKind::automatic ? guess_kind(options.path) : options.kind;
  const DataOptions plain{.kind = result.kind, .path = options.path, .split = options.split, .cache = ""};
  if (result.kind == DataKind::folder) {
    inspect_source(ImageFolder(plain.path), plain.split, sheet, threads, progress, result);
  } else if (result.kind == DataKind::archive) {
    inspect_source(ImageArchive(plain.path), plain.split, sheet, threads, progress, result);
  } else {
    inspect_binary(plain, sheet, threads, progress, result);
  }
  return result;
}

}  // namespace sgan
