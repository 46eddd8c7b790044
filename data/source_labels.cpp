#include "data/source_labels.h"

#include <algorithm>
#include <map>
#include <string_view>

namespace sgan {

SourceLabels label_images(const std::vector<SourceImage>& images, std::span<const int64_t> indices, size_t prefix) {
  SourceLabels result;
  if (images[indices.front()].label >= 0) {
    for (const int64_t i : indices) result.labels.push_back(images[i].label);
    for (int64_t i = 0; i <= std::ranges::max(result.labels); ++i) result.classes.push_back(std::to_string(i));
    return result;
  }
  const auto folder = [&](int64_t i) {
    const std::string_view rest = std::string_view(images[i].name).substr(prefix);
    return rest.substr(0, rest.find('/') == rest.npos ? 0 : rest.find('/'));
  };
  std::map<std::string_view, int64_t> classes;
  for (const int64_t i : indices) classes.emplace(folder(i), 0);
  if (classes.contains("")) return result;
  for (auto& [name, index] : classes) {
    index = std::ssize(result.classes);
    result.classes.emplace_back(name);
  }
  for (const int64_t i : indices) result.labels.push_back(classes.at(folder(i)));
  return result;
}

}  // namespace sgan
