#include "data/load_images.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "configs/error.h"
#include "data/decode_image.h"
#include "data/image_size.h"
#include "data/parallel.h"
#include "data/printable_name.h"
#include "data/source_labels.h"
#include "data/split_folder.h"

namespace sgan {
namespace {

constexpr size_t kExamples = 5;
constexpr size_t kUnreadableExamples = 10;

// What became of one image.
struct Image {
  int64_t index = 0;      // within the source
  std::string_view name;  // the same
  ImageSize size;
  int channels = 0;
  std::string error;  // why it cannot be read; empty while all is well
};
using Images = std::vector<Image>;

// Decodes images as they come, on several threads, into a store for images of the first one's shape.
class Decoder {
 public:
  Decoder(Images& images, const DataOptions& options, const MakeStore& make_store)
      : images_(images), options_(options), make_store_(make_store) {}

  // Throws nothing: what goes wrong is kept for store().
  void decode(int64_t i, std::span<const uint8_t> bytes, std::string_view error) {
    Image& image = images_[i];
    if (failure_.any()) return;
    if (!error.empty()) {
      image.error = error;
      return;
    }
    const auto header = sizes_differ_ ? read_image_header(bytes) : std::nullopt;
    if (header) {  // an error is due that lists sizes alone
      image.size = header->size;
      return;
    }
    auto [pixels, problem] = decode_image(bytes, options_.channels);
    image.error = std::move(problem);
    if (pixels.empty()) return;
    image.size = {pixels.cols, pixels.rows};
    image.channels = pixels.channels();
    try {
      keep(i, options_.size == 0 ? pixels : fit_square(pixels, options_.size));
    } catch (...) {
      failure_.keep();
    }
  }

  // Has all images but those that could not be read or do not agree with the others; none if there are no others.
  SampleStore* store() {
    failure_.rethrow();
    return store_.get();
  }

 private:
  void keep(int64_t i, const cv::Mat& pixels) {
    if (pixels.rows != pixels.cols) {  // an error too, without memory spent on it
      sizes_differ_ = true;
      return;
    }
    std::call_once(shaped_, [&] {
      channels_ = pixels.channels();
      side_ = pixels.rows;
      store_ = make_store_({std::ssize(images_), channels_, side_, side_});
    });
    if (pixels.rows != side_) {
      sizes_differ_ = true;
    } else if (pixels.channels() == channels_) {
      store_->put(i, [&](uint8_t* out) { store_planes(pixels, out); });
    }
  }

  Images& images_;
  const DataOptions& options_;
  const MakeStore& make_store_;
  std::atomic<bool> sizes_differ_ = false;
  std::once_flag shaped_;
  int64_t channels_ = 0;
  int64_t side_ = 0;
  std::shared_ptr<SampleStore> store_;
  FirstError failure_;
};

// Throws an error that names the unreadable images, if there are any, unless they are to be skipped and others remain.
void require_readable(const Images& images, OnError on_error) {
  const int64_t unreadable = std::ranges::count_if(images, [](const Image& image) { return !image.error.empty(); });
  const bool none_left = unreadable == std::ssize(images);
  if (unreadable == 0 || (on_error == OnError::skip && !none_left)) return;
  std::string text = fmt::format("{} of {} images cannot be read:", unreadable, images.size());
  size_t listed = 0;
  for (const Image& image : images) {
    if (image.error.empty()) continue;
    if (listed++ == kUnreadableExamples) {
      text += "\n  …";
      break;
    }
    text += fmt::format("\n  {} {}", printable_name(image.name), image.error);
  }
  text += none_left ? "\nIs data.path the right one?" : "\nRepair or remove them, or set data.on_error: skip.";
  throw UserError(text);
}

// Throws unless all readable images have the same `trait`: lists how many have which, and an example of each.
template <class Trait>
void require_same(const Images& images, const Trait& trait, std::string_view problem, std::string_view next_step) {
  struct Group {
    int64_t count = 0;
    const Image* first = nullptr;
  };
  std::map<std::string, Group> groups;
  for (const Image& image : images) {
    if (!image.error.empty()) continue;
    Group& group = groups[trait(image)];
    if (group.count++ == 0) group.first = &image;
  }
  if (groups.size() < 2) return;
  std::vector<std::pair<std::string, Group>> sorted(groups.begin(), groups.end());
  std::ranges::stable_sort(sorted, std::ranges::greater(), [](const auto& group) { return group.second.count; });
  std::string text = fmt::format("{}:", problem);
  for (size_t i = 0; i < std::min(sorted.size(), kExamples); ++i) {
    const auto& [name, group] = sorted[i];
    text += fmt::format("\n  {}: {} images, such as {}", name, group.count, printable_name(group.first->name));
  }
  if (sorted.size() > kExamples) text += fmt::format("\n  … {} more", sorted.size() - kExamples);
  throw UserError(fmt::format("{}\n{}", text, next_step));
}

// Throws unless all readable images have the same width and height.
void require_common_size(const Images& images) {
  constexpr std::string_view kNextStep = "Set data.size, for example to 64: images are then cut and scaled to it.";
  const auto size = [](const Image& image) { return fmt::format("{}x{}", image.size.width, image.size.height); };
  require_same(images, size, "the images differ in size", kNextStep);
  const Image& example = *std::ranges::find_if(images, [](const Image& image) { return image.error.empty(); });
  if (example.size.width != example.size.height) {
    throw UserError(fmt::format("the images must be square, but are {}, such as {}\n{}", size(example),
                                printable_name(example.name), kNextStep));
  }
}

// Drops what could not be read.
void drop_unreadable(Images& images, SampleStore& store) {
  std::vector<int64_t> readable;
  for (int64_t i = 0; i < std::ssize(images); ++i) {
    if (images[i].error.empty()) readable.push_back(i);
  }
  store.keep(readable);
  std::erase_if(images, [](const Image& image) { return !image.error.empty(); });
}

std::string describe(const ImageSource& source, const SplitSelection& split, const Images& images,
                     const Dataset& dataset) {
  const auto sizes = dataset.sample_shape();
  std::string text = source.what();
  if (!split.folder.empty()) text += fmt::format(", folder {}", split.folder);
  text += fmt::format(": {} {} images of {}x{}", dataset.size(), sizes[0] == 1 ? "grey" : "RGB", sizes[2], sizes[1]);
  const ImageSize kept{sizes[2], sizes[1]};
  if (std::ranges::any_of(images, [&](const Image& image) { return image.size != kept; })) {
    text += fmt::format(", {}", kResizing);
  }
  if (!dataset.classes.empty()) text += fmt::format(" in {} classes", dataset.classes.size());
  if (dataset.skipped > 0) text += fmt::format(", {} unreadable ones skipped", dataset.skipped);
  return text;
}

}  // namespace

Dataset load_images(const ImageSource& source, const DataOptions& options, int64_t threads,
                    const LoadProgress& progress, const MakeStore& make_store) {
  TORCH_CHECK(options.channels == 0 || options.channels == 1 || options.channels == 3, "channels ", options.channels);
  cv::setNumThreads(0);  // the threads here are the parallelism
  const SplitSelection split = select_split(source, options.split);
  Images images;
  for (const int64_t i : split.images) {
    images.push_back({.index = i, .name = source.images()[i].name, .size = {}, .error = {}});
  }

  Decoder decoder(images, options, make_store);
  source.read(split.images, threads, progress, [&](int64_t i, std::span<const uint8_t> bytes, std::string_view error) {
    decoder.decode(std::ranges::lower_bound(split.images, i) - split.images.begin(), bytes, error);
  });
  SampleStore* store = decoder.store();
  require_readable(images, OnError::skip);
  if (options.size == 0) require_common_size(images);
  require_readable(images, options.on_error);
  const auto colour = [](const Image& image) { return image.channels == 1 ? "grey" : "colour"; };
  require_same(images, colour, "some images are grey, others in colour",
               "Set data.channels to 1 or 3 to convert them.");

  Dataset result;
  result.skipped = std::ranges::count_if(images, [](const Image& image) { return !image.error.empty(); });
  if (result.skipped > 0) drop_unreadable(images, *store);
  result.samples = store->samples();
  std::vector<int64_t> kept;
  for (const Image& image : images) kept.push_back(image.index);
  auto [labels, classes] = label_images(source.images(), split, kept);
  result.labels = std::move(labels);
  result.classes = std::move(classes);
  result.description = describe(source, split, images, result);
  return result;
}

}  // namespace sgan
