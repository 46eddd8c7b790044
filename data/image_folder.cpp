#include "data/image_folder.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <stop_token>
#include <string_view>
#include <thread>

#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "configs/error.h"
#include "data/image_size.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 5> kEndings = {".png", ".jpg", ".jpeg", ".bmp", ".webp"};
constexpr int64_t kMaxPixels = 64'000'000;
constexpr size_t kExamples = 5;
constexpr size_t kUnreadableExamples = 10;

// One file of the folder and what became of it.
struct Image {
  fs::path path;  // within the folder
  ImageSize size;
  int64_t header_end = 0;
  int channels = 0;
  std::string error;  // why it cannot be read; empty while all is well
};
using Images = std::vector<Image>;

bool is_image(const fs::path& path) {
  std::string ending = path.extension().string();
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::ranges::find(kEndings, ending) != kEndings.end();
}

Images list_images(const fs::path& folder) {
  if (folder.empty()) {
    throw UserError("data.path is empty. Set it to a folder of images.", UserError::Kind::usage);
  }
  Images images;
  try {
    if (!fs::exists(folder)) {
      throw UserError(fmt::format("data.path: there is no folder {}. Correct the path.", folder.string()));
    }
    if (!fs::is_directory(folder)) {
      throw UserError(fmt::format("data.path: {} is not a folder. Set it to a folder of images; unpack archives first.",
                                  folder.string()));
    }
    // A link to a folder of the tree, or to one above it, adds nothing, whichever of the two the walk meets first.
    const fs::path root = fs::canonical(folder);
    const auto within = [](const fs::path& inner, const fs::path& outer) {
      return std::ranges::mismatch(outer, inner).in1 == outer.end();
    };
    const auto leads_back = [&](const fs::directory_entry& entry) {
      if (!entry.is_symlink()) return false;
      const fs::path target = fs::canonical(entry.path());
      return within(target, root) || within(root, target);
    };
    std::set<fs::path> visited;  // a linked folder may hold links of its own, which could go round
    using Walk = fs::recursive_directory_iterator;
    for (Walk entry(folder, fs::directory_options::follow_directory_symlink); entry != Walk(); ++entry) {
      const bool hidden = entry->path().filename().string().starts_with('.');
      const bool enters = entry->is_directory() && !hidden && !leads_back(*entry) &&
                          visited.insert(fs::canonical(entry->path())).second;
      if (!enters) entry.disable_recursion_pending();
      if (hidden || !is_image(entry->path()) || entry->is_directory()) continue;
      if (!entry->is_regular_file()) {  // a pipe or a device could keep its reader waiting for ever
        throw UserError(fmt::format("data.path: {} is no ordinary file. Remove it.", entry->path().string()));
      }
      images.push_back({.path = entry->path().lexically_relative(folder), .size = {}, .error = {}});
    }
  } catch (const fs::filesystem_error& error) {
    throw UserError(fmt::format("data.path: {} cannot be listed: {}.", folder.string(), error.what()));
  }
  if (images.empty()) {
    throw UserError(fmt::format("data.path: {} and its sub-folders hold no images. Files that end in {} are read.",
                                folder.string(), fmt::join(kEndings, ", ")));
  }
  std::ranges::sort(images, {}, &Image::path);
  return images;
}

// Calls work(i) once for each i in [0, count), in any order, on `threads` threads of which the caller is one.
// `work` must not throw; `progress` may, which ends the work early.
template <class Work>
void parallel_for(int64_t count, int64_t threads, const LoadProgress& progress, const Work& work) {
  constexpr int64_t kChunk = 64;
  std::atomic<int64_t> next = 0;
  std::atomic<int64_t> done = 0;
  const auto run = [&](const std::stop_token& stop, const LoadProgress& report) {
    while (!stop.stop_requested()) {
      const int64_t begin = next.fetch_add(kChunk);
      const int64_t end = std::min(begin + kChunk, count);
      if (begin >= count) return;
      for (int64_t i = begin; i < end; ++i) work(i);
      done += end - begin;
      if (report) report(done, count);
    }
  };
  std::vector<std::jthread> others;
  for (int64_t i = 1; i < std::min(threads, (count + kChunk - 1) / kChunk); ++i) {
    others.emplace_back([&run](const std::stop_token& stop) { run(stop, {}); });
  }
  run({}, progress);
  for (std::jthread& other : others) other.join();
  if (progress) progress(count, count);
}

void read_header(const fs::path& folder, Image& image) {
  std::ifstream file(folder / image.path, std::ios::binary);
  const std::optional<ImageSize> size = read_image_size(file);
  if (!file.is_open()) {
    image.error = "cannot be opened";
  } else if (!size) {
    image.error = "is not a PNG, JPEG, BMP or WebP image";
  } else if (size->width < 1 || size->height < 1) {
    image.error = "has no pixels";
  } else if (size->height > kMaxPixels / size->width) {  // a few bytes can claim to be terabytes
    image.error = fmt::format("is {}x{}, more than {} megapixels", size->width, size->height, kMaxPixels / 1'000'000);
  } else {
    image.size = *size;
    image.header_end = file.tellg();
  }
}

// libjpeg only warns about a file that stops short and makes up the rest. The end marker cannot occur in the coded
// pixels, but an EXIF thumbnail, which comes before the frame header, has one of its own.
bool is_cut_short(std::span<const uint8_t> bytes, int64_t header_end) {
  constexpr std::array<uint8_t, 2> kStart = {0xff, 0xd8};
  constexpr std::array<uint8_t, 2> kEnd = {0xff, 0xd9};
  if (std::ssize(bytes) <= header_end) return true;
  if (!std::ranges::equal(bytes.first(2), kStart)) return false;
  return std::ranges::search(bytes.subspan(header_end), kEnd).empty();
}

// 8-bit pixels, grey or BGR, of the size that the header promised; sets image.error and returns nothing if it fails.
cv::Mat decode(const fs::path& folder, int64_t channels, Image& image) {
  const int mode = channels == 1 ? cv::IMREAD_GRAYSCALE : channels == 3 ? cv::IMREAD_COLOR : cv::IMREAD_ANYCOLOR;
  thread_local std::vector<uint8_t> bytes;
  cv::Mat pixels;
  try {
    std::ifstream file(folder / image.path, std::ios::binary);
    bytes.resize(fs::file_size(folder / image.path));
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (file && !is_cut_short(bytes, image.header_end)) pixels = cv::imdecode(bytes, mode);
  } catch (const std::exception&) {
    pixels.release();
  }
  if (pixels.cols != image.size.width || pixels.rows != image.size.height) {
    image.error = "cannot be decoded";
    return {};
  }
  image.channels = pixels.channels();
  return pixels;
}

// Interleaved grey or BGR → planes (C, H, W), RGB.
void store(const cv::Mat& pixels, uint8_t* out) {
  const auto plane = [&](int c) { return cv::Mat(pixels.rows, pixels.cols, CV_8U, out + c * pixels.total()); };
  if (pixels.channels() == 1) {
    pixels.copyTo(plane(0));
  } else {
    std::array<cv::Mat, 3> blue_green_red = {plane(2), plane(1), plane(0)};
    cv::split(pixels, blue_green_red.data());
  }
}

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
    text += fmt::format("\n  {} {}", image.path.string(), image.error);
  }
  text += none_left ? "\nIs data.path the right folder?" : "\nRepair or remove them, or set data.on_error: skip.";
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
    text += fmt::format("\n  {}: {} images, such as {}", name, group.count, group.first->path.string());
  }
  if (sorted.size() > kExamples) text += fmt::format("\n  … {} more", sorted.size() - kExamples);
  throw UserError(fmt::format("{}\n{}", text, next_step));
}

// The width and height of all readable images.
int64_t common_size(const Images& images, int64_t wanted) {
  constexpr std::string_view kResize =
      "Crop and resize them first, for example with ImageMagick: "
      "mogrify -resize 64x64^ -gravity center -extent 64x64 FILES";
  const auto size = [](const Image& image) { return fmt::format("{}x{}", image.size.width, image.size.height); };
  require_same(images, size, "the images differ in size", kResize);
  const Image& example = *std::ranges::find_if(images, [](const Image& image) { return image.error.empty(); });
  if (example.size.width != example.size.height) {
    throw UserError(fmt::format("the images must be square, but are {}, such as {}\n{}", size(example),
                                example.path.string(), kResize));
  }
  if (wanted != 0 && wanted != example.size.width) {
    throw UserError(
        fmt::format("data.size is {}, but the images are {}. Set data.size to {} or 0, or resize the images.", wanted,
                    size(example), example.size.width));
  }
  return example.size.width;
}

// The channel count of the first image that can be decoded; marks those before it as unreadable.
int64_t first_channels(const fs::path& folder, Images& images) {
  for (Image& image : images) {
    if (image.error.empty() && !decode(folder, 0, image).empty()) return image.channels;
  }
  return 0;
}

torch::Tensor allocate(int64_t count, int64_t channels, int64_t size) {
  constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
  const double needed = static_cast<double>(count * channels) * static_cast<double>(size * size) / kGiB;
  const double memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE)) / kGiB;
  if (needed > memory) {
    throw UserError(
        fmt::format("{} images of {}x{}x{} need {:.1f} GiB of memory, this machine has {:.1f} GiB. "
                    "Use fewer or smaller images.",
                    count, channels, size, size, needed, memory));
  }
  return torch::empty({count, channels, size, size}, torch::kUInt8);
}

// Moves the readable images to the front of `samples` and of `images`, and drops the rest of both.
void drop_unreadable(Images& images, torch::Tensor& samples) {
  const int64_t bytes = samples.stride(0);
  uint8_t* data = samples.data_ptr<uint8_t>();
  int64_t kept = 0;
  for (int64_t i = 0; i < std::ssize(images); ++i) {
    if (!images[i].error.empty()) continue;
    if (kept != i) {
      std::memcpy(data + kept * bytes, data + i * bytes, bytes);
      images[kept] = std::move(images[i]);
    }
    ++kept;
  }
  images.resize(kept);
  samples = samples.narrow(0, 0, kept);
}

void label(const Images& images, Dataset& dataset) {
  const auto in_root = [](const Image& image) { return !image.path.has_parent_path(); };
  if (std::ranges::any_of(images, in_root)) return;
  std::map<std::string, int64_t> classes;
  for (const Image& image : images) classes.emplace(image.path.begin()->string(), 0);
  for (auto& [name, index] : classes) {
    index = std::ssize(dataset.classes);
    dataset.classes.push_back(name);
  }
  for (const Image& image : images) dataset.labels.push_back(classes.at(image.path.begin()->string()));
}

}  // namespace

Dataset load_image_folder(const DataOptions& options, int64_t threads, const LoadProgress& progress) {
  TORCH_CHECK(options.channels == 0 || options.channels == 1 || options.channels == 3, "channels ", options.channels);
  cv::setNumThreads(0);  // the threads here are the parallelism
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  const fs::path folder = options.path;
  Images images = list_images(folder);
  const auto total = std::ssize(images);

  // Headers first: they tell sizes and disagreement before memory is spent on pixels.
  parallel_for(total, threads, {}, [&](int64_t i) { read_header(folder, images[i]); });
  require_readable(images, OnError::skip);
  const int64_t size = common_size(images, options.size);
  const int64_t channels = options.channels != 0 ? options.channels : first_channels(folder, images);
  require_readable(images, OnError::skip);

  Dataset result;
  result.samples = allocate(total, channels, size);
  uint8_t* data = result.samples.data_ptr<uint8_t>();
  parallel_for(total, threads, progress, [&](int64_t i) {
    if (!images[i].error.empty()) return;
    const cv::Mat pixels = decode(folder, options.channels, images[i]);
    if (pixels.channels() == channels && !pixels.empty()) store(pixels, data + i * result.samples.stride(0));
  });
  require_readable(images, options.on_error);
  const auto colour = [](const Image& image) { return image.channels == 1 ? "grey" : "colour"; };
  require_same(images, colour, "some images are grey, others in colour",
               "Set data.channels to 1 or 3 to convert them.");

  drop_unreadable(images, result.samples);
  result.skipped = total - result.size();
  label(images, result);
  result.description = fmt::format("folder {}: {} {} images of {}x{}", options.path, result.size(),
                                   channels == 1 ? "grey" : "RGB", size, size);
  if (!result.classes.empty()) result.description += fmt::format(" in {} classes", result.classes.size());
  if (result.skipped > 0) result.description += fmt::format(", {} unreadable ones skipped", result.skipped);
  return result;
}

}  // namespace sgan
