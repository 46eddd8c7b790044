#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/image_source.h"
#include "data/split_folder.h"

namespace sgan {

struct SourceLabels {
  std::vector<int64_t> labels;       // a class index per image, or empty
  std::vector<std::string> classes;  // names of the classes, or empty
};

// Labels of the images with these indices, at least one, which are those of the split that can be read: labels that the
// source states, named by their numbers; else, if all images lie in folders below the split's, the first of these
// folders. The classes are those of all images of the source's splits (train, test, val, valid and validation), whether
// they can be read or not, so that a class has one number in all of them.
SourceLabels label_images(const std::vector<SourceImage>& images, const SplitSelection& split,
                          std::span<const int64_t> indices);

}  // namespace sgan
