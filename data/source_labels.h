#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/image_source.h"

namespace sgan {

struct SourceLabels {
  std::vector<int64_t> labels;       // a class index per image, or empty
  std::vector<std::string> classes;  // names of the classes, or empty
};

// Labels of the images with these indices, at least one: those that the source states, named by their numbers; else, if
// all images lie in folders below the first `prefix` characters of their names, the first of these folders.
SourceLabels label_images(const std::vector<SourceImage>& images, std::span<const int64_t> indices, size_t prefix);

}  // namespace sgan
