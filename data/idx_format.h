#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/file_bytes.h"
#include "data/image_records.h"
#include "data/image_size.h"

namespace sgan {

// What IDX files hold. No torch header: foreign bytes are read here, and fuzzed.

struct IdxFiles {
  FileBytes images;                       // magic 0x00000803 and N images
  std::optional<FileBytes> labels;        // magic 0x00000801 and as many bytes
  std::optional<FileBytes> other_labels;  // of the other split, which has the same classes
};

struct IdxContent {
  FileBytes file;    // of the images, unpacked
  RawImages images;  // refer to its bytes
  std::vector<int64_t> labels;
  int64_t classes = 0;  // one above the largest label of both splits; 0 without labels
};

// Throws UserError for another magic number, for sizes that are not those of the file, and for labels that are far
// beyond the number of different ones, as a damaged byte is. Of a gzip file no more is unpacked than its header states.
IdxContent parse_idx(const IdxFiles& files);

// The width and height that the header of these images states.
ImageSize parse_idx_image_size(const FileBytes& images);

}  // namespace sgan
