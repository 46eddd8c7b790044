#include "data/source_labels.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <string_view>

namespace sgan {
namespace {

constexpr std::array<std::string_view, 5> kLabelledSplits = {"train", "test", "val", "valid", "validation"};

bool is_labelled_split(std::string_view folder) {
  std::string name(folder);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::ranges::find(kLabelledSplits, name) != kLabelledSplits.end();
}

// The first folder of a path; empty if there is none.
std::string_view first_folder(std::string_view path) {
  const size_t slash = path.find('/');
  return path.substr(0, slash == path.npos ? 0 : slash);
}

struct Member {
  const SourceImage* image;
  std::string_view path;  // below its split's folder
};

// The images of the splits that share their classes with this one.
std::vector<Member> members(const std::vector<SourceImage>& images, const SplitSelection& split) {
  std::vector<Member> found;
  if (!is_labelled_split(split.folder)) {
    for (const int64_t i : split.images) {
      found.push_back({&images[i], std::string_view(images[i].name).substr(split.prefix)});
    }
    return found;
  }
  const size_t above = split.prefix - split.folder.size() - 1;  // characters of the folders around the splits
  const std::string_view wrapping = std::string_view(images[split.images.front()].name).substr(0, above);
  for (const SourceImage& image : images) {
    if (!image.name.starts_with(wrapping)) continue;
    const std::string_view path = std::string_view(image.name).substr(above);
    const std::string_view folder = first_folder(path);
    if (is_labelled_split(folder)) found.push_back({&image, path.substr(folder.size() + 1)});
  }
  return found;
}

}  // namespace

SourceLabels label_images(const std::vector<SourceImage>& images, const SplitSelection& split,
                          std::span<const int64_t> indices) {
  SourceLabels result;
  const std::vector<Member> all = members(images, split);
  if (images[indices.front()].label >= 0) {
    int64_t last = 0;
    for (const Member& member : all) last = std::max(last, member.image->label);
    for (int64_t i = 0; i <= last; ++i) result.classes.push_back(std::to_string(i));
    for (const int64_t i : indices) result.labels.push_back(images[i].label);
    return result;
  }
  const auto folder = [&](int64_t i) { return first_folder(std::string_view(images[i].name).substr(split.prefix)); };
  if (std::ranges::any_of(indices, [&](int64_t i) { return folder(i).empty(); })) return result;
  std::map<std::string_view, int64_t> classes;
  for (const Member& member : all) classes.emplace(first_folder(member.path), 0);
  classes.erase("");  // images beside the folders, of another split or unreadable
  for (auto& [name, index] : classes) {
    index = std::ssize(result.classes);
    result.classes.emplace_back(name);
  }
  for (const int64_t i : indices) result.labels.push_back(classes.at(folder(i)));
  return result;
}

}  // namespace sgan
