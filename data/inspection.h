#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "configs/options.h"
#include "data/dataset.h"
#include "data/image_size.h"

namespace sgan {

// What a path of images holds, before anything is asked of them.
struct Inspection {
  DataKind kind = DataKind::folder;
  std::string source;                                    // "folder photos, folder train"
  int64_t readable = 0;                                  // images
  int64_t grey = 0;                                      // of these
  std::map<ImageSize, int64_t> sizes;                    // how many images have which
  std::vector<std::pair<std::string, int64_t>> classes;  // names and images, or empty
  int64_t unreadable = 0;
  std::vector<std::string> unreadable_examples;  // "name reason", the first ten
  torch::Tensor sheet;                           // uint8 (n, 3, side, side), spread evenly over the readable images

  // What data.size and data.channels would suit: a power of two that no more than a seventh of the images' pixels are
  // made up for, and 3 if any image is in colour.
  int64_t suggested_size() const;
  int64_t suggested_channels() const { return grey == readable ? 1 : 3; }
};

// Decodes all images of options.path that options.split takes, without cache; of the other options only kind counts.
// `sheet` is how many to keep for a contact sheet. Throws UserError if there are none, or, for binary files, if they
// are damaged.
Inspection inspect_data(const DataOptions& options, int64_t sheet, int64_t threads, const LoadProgress& progress = {});

}  // namespace sgan
