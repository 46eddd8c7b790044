// fuzz_decoders [N] [SEED] [DECODER]: feeds each decoder (or one) N mutated inputs. Each must come out as data or as a
// UserError, within 5 seconds of processor time; anything else, or a crash, is a defect. Input k depends on SEED and k
// alone, so a failure repeats. The accepted share says how much of the work lies behind the checks of form: a decoder
// that accepts nothing is not tested beyond them.
//
// The bar is 100,000 inputs a decoder under the sanitizers:
//   cmake --preset sanitize && cmake --build --preset sanitize --target fuzz_decoders
//   ASAN_OPTIONS=detect_leaks=0:detect_container_overflow=0:allocator_may_return_null=1
//     build/sanitize/bin/fuzz_decoders 100000 2>fuzz.log

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>
#include <opencv2/imgcodecs.hpp>

#include "configs/error.h"
#include "data/cache.h"
#include "data/cifar10.h"
#include "data/decode_image.h"
#include "data/idx.h"
#include "data/image_archive.h"
#include "data/image_size.h"
#include "data/load_images.h"
#include "data/stl10.h"
#include "run/atomic_file.h"
#include "run/sha256.h"
#include "run/splitmix64.h"
#include "tests/data/made_files.h"
#include "tests/data/repair_checksums.h"

namespace sgan {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kMaxSeconds = 5.0;  // of the processor, for one input

struct Decoder {
  std::string name;
  std::vector<std::string> seeds;
  std::function<bool(const std::string&)> decode;       // false or a UserError for what it refuses
  std::function<std::string(std::string)> repair = {};  // makes checksums right again, after every other mutation
};

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// ---- Mutations -----------------------------------------------------------------------------------------------------

void flip_bits(std::string& text, SplitMix64& random) {
  for (uint64_t i = 0, count = 1 + random.below(8); i < count; ++i) {
    text[random.below(text.size())] ^= static_cast<char>(1 << random.below(8));
  }
}

void cut(std::string& text, SplitMix64& random) {
  text.resize(random.below(text.size()));
}

// A number of 1 to 8 bytes, of the kind that lengths overflow with, in either byte order, near the front more often.
void edit_length(std::string& text, SplitMix64& random) {
  constexpr uint64_t kValues[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, ~0ULL};
  const uint64_t value = kValues[random.below(std::size(kValues))];
  const uint64_t width = uint64_t{1} << random.below(4);
  const bool big = random.below(2) == 0;
  const uint64_t at = random.below(random.below(2) == 0 ? std::min<size_t>(text.size(), 64) : text.size());
  for (uint64_t i = 0; i < width && at + i < text.size(); ++i) {
    text[at + i] = static_cast<char>(value >> 8 * (big ? width - 1 - i : i));
  }
}

// The front of one seed and the back of another, or a piece taken out or doubled.
void splice(std::string& text, const std::string& other, SplitMix64& random) {
  if (random.below(2) == 0) {
    text = text.substr(0, random.below(text.size())) + other.substr(random.below(other.size()));
  } else {
    const uint64_t from = random.below(text.size());
    text = text.substr(0, random.below(text.size())) + text.substr(from);
  }
}

std::string mutate(const Decoder& decoder, uint64_t seed, uint64_t k) {
  SplitMix64 random(seed, k);
  const auto any_seed = [&] { return decoder.seeds[random.below(decoder.seeds.size())]; };
  std::string text = any_seed();
  for (uint64_t i = 0, count = 1 + random.below(3); i < count && !text.empty(); ++i) {
    switch (random.below(4)) {
      case 0:
        flip_bits(text, random);
        break;
      case 1:
        cut(text, random);
        break;
      case 2:
        edit_length(text, random);
        break;
      default:
        splice(text, any_seed(), random);
    }
  }
  return decoder.repair && random.below(2) == 0 ? decoder.repair(std::move(text)) : text;
}

// A cache file is a safetensors file: the header's length in 8 bytes, the header, the data. Its digest covers the
// latter two, with the digest's own 64 characters as '0'.
std::string with_digest(std::string text) {
  constexpr std::string_view kKey = "\"sha256\":\"";
  constexpr size_t kLengthBytes = 8;
  constexpr size_t kDigest = 64;
  const size_t key = text.find(kKey);
  if (key == text.npos || key < kLengthBytes || text.size() - key < kKey.size() + kDigest) return text;
  text.replace(key + kKey.size(), kDigest, kDigest, '0');
  Sha256 sha;
  sha.update(std::string_view(text).substr(kLengthBytes));
  return text.replace(key + kKey.size(), kDigest, sha.hex());
}

// ---- Decoders ------------------------------------------------------------------------------------------------------

cv::Mat noise(int width, int height, int type) {
  cv::Mat image(height, width, type);
  cv::randu(image, 0, 256);
  return image;
}

std::string with_little_endian(std::string text, size_t at, uint32_t value) {
  std::memcpy(text.data() + at, &value, sizeof(value));
  return text;
}

std::string png_chunk(const std::string& type, const std::string& data) {
  return big_endian(static_cast<uint32_t>(data.size())) + type + data + "crc.";
}

// An 8x8 PNG of 8 bits a pixel with these rows, each after its filter's number. colour: 0 is grey, 3 has a palette.
std::string png_of(char colour, bool interlaced, const std::string& rows) {
  std::string text = "\x89PNG\r\n\x1a\n";
  text += png_chunk("IHDR", big_endian(8) + big_endian(8) + '\x8' + colour + std::string(2, '\0') +
                                static_cast<char>(interlaced ? 1 : 0));
  if (colour == 3) {
    text += png_chunk("PLTE", std::string("\0\0\0\xff\0\0\0\xff\0\0\0\xff", 12));
    text += png_chunk("tRNS", "\x80\xff");
  }
  return with_png_checksums(text + png_chunk("IDAT", zlib_stored(rows)) + png_chunk("IEND", ""));
}

std::string palette_png() {
  std::string rows;
  for (int y = 0; y < 8; ++y) rows += std::string("\0\0\1\2\3\0\1\2\3", 9);
  return png_of(3, false, rows);
}

// Adam7's seven passes over 8x8 pixels, as width and height.
std::string interlaced_png() {
  constexpr std::pair<size_t, int> kPasses[] = {{1, 1}, {1, 1}, {2, 1}, {2, 2}, {4, 2}, {4, 4}, {8, 4}};
  std::string rows;
  for (const auto& [width, height] : kPasses) {
    for (int y = 0; y < height; ++y) rows += '\0' + std::string(width, '\x55');
  }
  return png_of(0, true, rows);
}

std::string progressive_jpeg() {
  std::vector<uint8_t> bytes;
  cv::imencode(".jpg", noise(20, 17, CV_8UC3), bytes, {cv::IMWRITE_JPEG_PROGRESSIVE, 1});
  return {bytes.begin(), bytes.end()};
}

// Turned by a quarter (orientation 6): an APP1 segment with a little-endian TIFF directory of one entry.
std::string exif_jpeg() {
  const std::string tiff("II\x2a\0\x8\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0", 26);
  const std::string exif = std::string("Exif\0\0", 6) + tiff;
  const auto length = static_cast<char>(exif.size() + 2);
  return encode_image(".jpg", noise(12, 9, CV_8UC3)).insert(2, std::string("\xff\xe1\0", 3) + length + exif);
}

// 8x8 pixels of 8 bits, run-length encoded: each row is a run of 8, then the end of the line.
std::string run_length_bmp() {
  constexpr size_t kPalette = 54;
  constexpr size_t kPixels = kPalette + 4 * 256;
  std::string data;
  for (int y = 0; y < 8; ++y) data += std::string("\x8\x7\0\0", 4);
  data += std::string("\0\1", 2);
  std::string text = "BM" + std::string(kPixels - 2, '\0') + data;
  for (const auto& [at, value] :
       std::initializer_list<std::pair<size_t, uint32_t>>{{2, static_cast<uint32_t>(text.size())},
                                                          {10, kPixels},
                                                          {14, 40},
                                                          {18, 8},
                                                          {22, 8},
                                                          {26, 1 | 8 << 16},
                                                          {30, 1},
                                                          {34, static_cast<uint32_t>(data.size())},
                                                          {46, 256}}) {
    text = with_little_endian(std::move(text), at, value);
  }
  for (size_t i = 0; i < 256; ++i) {
    text = with_little_endian(std::move(text), kPalette + 4 * i, static_cast<uint32_t>(i * 0x010101));
  }
  return text;
}

// What the encoder of plain images does not make.
std::vector<std::string> unusual_images(const std::string& ending) {
  if (ending == "png") {
    return {palette_png(), interlaced_png(), encode_image(".png", noise(8, 8, CV_16UC3)),
            encode_image(".png", noise(8, 8, CV_8UC4))};
  }
  if (ending == "jpg") return {progressive_jpeg(), exif_jpeg()};
  if (ending == "bmp") return {encode_image(".bmp", noise(8, 8, CV_8UC4)), run_length_bmp()};
  return {};
}

Members some_images() {
  return {{"train/a/1.png", encode_image(".png", noise(8, 8, CV_8UC3))},
          {"train/a/2.jpg", encode_image(".jpg", noise(8, 8, CV_8UC3))},
          {"train/b/3.bmp", encode_image(".bmp", noise(8, 8, CV_8UC3))},
          {"README", "text"}};
}

Members some_shard() {
  return {{"0001.png", grey_png(1)}, {"0001.cls", "3\n"}, {"0002.png", grey_png(2)}, {"0002.cls", "0"}};
}

bool decode_archive(const std::string& text) {
  const FileBytes file = in_memory("archive", text);
  const ImageArchive archive("archive", {[&] { return ArchiveReader(file.bytes, file.name); }});
  DataOptions options;
  options.on_error = OnError::skip;
  return load_images(archive, options, 1).size() > 0;
}

std::string three_digits() {
  return idx_images(3, 4, 4, std::string(48, '\7'));
}

bool decode_idx_labels(const std::string& text) {
  const IdxFiles files{in_memory("images", three_digits()), in_memory("labels", text), in_memory("others", text)};
  return read_idx(files, {}, 1, {}, "idx").size() > 0;
}

bool decode_idx_images(const std::string& text) {
  return read_idx({in_memory("idx", text), std::nullopt, std::nullopt}, {}, 1, {}, "idx").size() > 0;
}

// The images are the input; its last bytes are the labels.
bool decode_stl10(const std::string& text) {
  constexpr size_t kLabels = 2;
  const size_t images = text.size() - std::min(text.size(), kLabels);
  const Stl10Part part{in_memory("X", text.substr(0, images)), in_memory("y", text.substr(images))};
  DataOptions options;
  options.size = 16;
  return read_stl10({part}, {}, options, 1, {}, "stl10").size() > 0;
}

std::string a_cache_file() {
  Dataset dataset;
  dataset.samples = torch::arange(2 * 3 * 4 * 4, torch::kUInt8).view({2, 3, 4, 4});
  dataset.labels = {0, 1};
  dataset.classes = {"a", "b"};
  dataset.description = "two images";
  dataset.content_hash = fingerprint(dataset);
  const auto path = std::filesystem::temp_directory_path() / fmt::format("fuzz-{}.safetensors", ::getpid());
  write_cache(path, "key", dataset);
  const std::string text = read_file(path);
  std::filesystem::remove(path);
  return text;
}

std::vector<Decoder> make_decoders() {
  std::vector<Decoder> decoders;
  std::vector<std::string> images;
  const auto decode = [](const std::string& text) {
    const DecodedImage image = decode_image(bytes_of(text), 0);
    return !image.pixels.empty() && !fit_square(image.pixels, 16).empty();
  };
  for (const std::string ending : {"png", "jpg", "bmp", "webp"}) {
    std::vector<std::string> seeds = {encode_image("." + ending, noise(12, 9, CV_8UC3)),
                                      encode_image("." + ending, noise(8, 8, CV_8UC1))};
    for (std::string& seed : unusual_images(ending)) seeds.push_back(std::move(seed));
    images.insert(images.end(), seeds.begin(), seeds.end());
    decoders.push_back({ending, seeds, decode});
    if (ending == "png") decoders.back().repair = with_png_checksums;
  }
  decoders.push_back(
      {"header", images, [](const std::string& text) { return read_image_header(bytes_of(text)).has_value(); }});

  decoders.push_back({"idx", {three_digits()}, decode_idx_images});
  decoders.push_back({"idx_gz", {gzip(three_digits())}, decode_idx_images});
  decoders.push_back({"idx_labels", {idx_labels("\1\2\3"), gzip(idx_labels("\4\5\6"))}, decode_idx_labels});
  decoders.push_back({"cifar10", {std::string(3073 * 2, '\3')}, [](const std::string& text) {
                        return read_cifar10({in_memory("batch", text)}, {}, {}, 1, {}, "cifar10").size() > 0;
                      }});
  decoders.push_back({"stl10", {std::string(2 * 27648, '\x44') + "\1\2"}, decode_stl10});

  const std::string tar = make_archive(some_images());
  const std::string shard = make_archive(some_shard());
  decoders.push_back({"tar", {tar, shard}, decode_archive, with_tar_checksums});
  decoders.push_back({"webdataset", {shard}, decode_archive, with_tar_checksums});
  decoders.push_back({"tar_gz", {make_archive(some_images(), Packing::tar_gz)}, decode_archive});
  // The archive within the compression is damaged, the compression is not.
  decoders.push_back({"gz_of_tar",
                      {tar, shard},
                      [](const std::string& text) { return decode_archive(gzip(text)); },
                      with_tar_checksums});
  decoders.push_back({"tar_xz", {make_archive(some_shard(), Packing::tar_xz)}, decode_archive});
  decoders.push_back({"tar_bz2", {make_archive(some_shard(), Packing::tar_bz2)}, decode_archive});
  decoders.push_back({"tar_zst", {make_archive(some_shard(), Packing::tar_zst)}, decode_archive});
  decoders.push_back(
      {"zip", {make_archive(some_images(), Packing::zip), make_archive(some_shard(), Packing::zip)}, decode_archive});
  decoders.push_back({"cache",
                      {a_cache_file()},
                      [](const std::string& text) { return read_cache(in_memory("cache", text), "key").has_value(); },
                      with_digest});
  return decoders;
}

// ---- The run -------------------------------------------------------------------------------------------------------

enum class Outcome { accepted, refused, defect };

Outcome feed(const Decoder& decoder, const std::string& text) {
  try {
    return decoder.decode(text) ? Outcome::accepted : Outcome::refused;
  } catch (const UserError&) {
    return Outcome::refused;
  } catch (const std::exception& error) {
    fmt::print("{}: threw {}\n", decoder.name, error.what());
    return Outcome::defect;
  }
}

double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

// False after a defect, whose input is written to the working directory.
bool fuzz(const Decoder& decoder, uint64_t count, uint64_t seed) {
  for (const std::string& valid : decoder.seeds) {
    if (feed(decoder, valid) != Outcome::accepted) {
      fmt::print("{}: refuses a valid input\n", decoder.name);
      return false;
    }
  }
  const auto begun = Clock::now();
  uint64_t accepted = 0;
  double slowest = 0.0;
  for (uint64_t k = 0; k < count; ++k) {
    const std::string text = mutate(decoder, seed, k);
    const double before = processor_seconds();
    Outcome outcome = feed(decoder, text);
    const double took = processor_seconds() - before;
    slowest = std::max(slowest, took);
    if (took > kMaxSeconds) {
      fmt::print("{}: took {:.1f} s, allowed are {:.0f}\n", decoder.name, took, kMaxSeconds);
      outcome = Outcome::defect;
    }
    if (outcome == Outcome::accepted) ++accepted;
    if (outcome == Outcome::defect) {
      const std::string file = fmt::format("fuzz-{}-{}-{}.bin", decoder.name, seed, k);
      std::ofstream(file, std::ios::binary) << text;
      fmt::print("{}: input {} of seed {} is a defect, see {}\n", decoder.name, k, seed, file);
      return false;
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  const double share = 100.0 * static_cast<double>(accepted) / static_cast<double>(std::max<uint64_t>(count, 1));
  fmt::print("{:<11} {:>7} inputs: {:>6} accepted ({:.1f} %), {:>6} refused, {:.1f} s, slowest {:.0f} ms\n",
             decoder.name, count, accepted, share, count - accepted, seconds, slowest * 1000);
  std::fflush(stdout);
  return true;
}

}  // namespace
}  // namespace sgan

int main(int argc, char** argv) {
  const uint64_t count = argc > 1 ? std::stoull(argv[1]) : 100;
  const uint64_t seed = argc > 2 ? std::stoull(argv[2]) : 0;
  const std::string only = argc > 3 ? argv[3] : "";
  torch::set_num_threads(1);
  for (const auto& decoder : sgan::make_decoders()) {
    if (!only.empty() && only != decoder.name) continue;
    if (!sgan::fuzz(decoder, count, seed)) return 1;
  }
  return 0;
}
