#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "configs/options.h"
#include "data/dataset.h"
#include "data/sample_store.h"

namespace sgan {

// Unencoded 8-bit images at equal distances: the first at the beginning of `bytes`, planes one after another.
struct RawImages {
  std::span<const uint8_t> bytes;
  int64_t count = 0;
  int64_t stride = 0;  // bytes from one image to the next
  int64_t channels = 1;
  int64_t height = 0;
  int64_t width = 0;
  bool column_major = false;  // a plane's bytes go down its columns

  int64_t image_bytes() const { return channels * height * width; }
};

// All images of `parts` as a data set without labels: uint8 (N, C, S, S), cut and scaled to options.size and converted
// to options.channels where these are not 0. `what` begins its description. The parts have one shape. Throws UserError
// if they are not square and options.size is 0, and what make_store and its store throw.
Dataset convert_raw_images(const std::vector<RawImages>& parts, const DataOptions& options, int64_t threads,
                           const LoadProgress& progress, std::string_view what,
                           const MakeStore& make_store = store_in_memory);

}  // namespace sgan
