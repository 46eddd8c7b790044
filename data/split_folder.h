#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "configs/options.h"
#include "data/image_source.h"

namespace sgan {

// The images of a source that a split takes.
struct SplitSelection {
  std::vector<int64_t> images;  // indices, ascending
  size_t prefix = 0;            // of their names: characters of the wrapping and split folders, with the last '/'
  std::string folder;           // the split folder that was taken; empty if there is none
};

// If all first-level folders are named after splits (train, test, val, valid, validation, unlabeled), automatic takes
// the training images, or the only folder there is; otherwise it takes all. train, test (or, without it, validation)
// and unlabeled take the folder of that name; without one they are a UserError that lists what is there. A folder
// around all others does not count as a level; it is part of `prefix` where source.may_be_wrapped() or splits lie in
// it.
SplitSelection select_split(const ImageSource& source, Split split);

}  // namespace sgan
