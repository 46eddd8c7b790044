#include "data/split_folder.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <numeric>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/error.h"
#include "data/printable_name.h"

namespace sgan {
namespace {

using Names = std::vector<std::string_view>;

const Names kSplitFolders = {"train", "test", "val", "valid", "validation", "unlabeled"};

// The folders that may hold a split, the best first.
Names folders_of(Split split) {
  switch (split) {
    case Split::test:
      return {"test", "val", "valid", "validation"};
    case Split::unlabeled:
      return {"unlabeled"};
    default:
      return {"train"};
  }
}

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// The folders (with a '/') and files next below `prefix`.
std::vector<std::string> level_below(const std::vector<SourceImage>& images, size_t prefix) {
  std::vector<std::string> level;
  for (const SourceImage& image : images) {
    const std::string_view rest = std::string_view(image.name).substr(prefix);
    const std::string_view first = rest.substr(0, rest.find('/') == rest.npos ? rest.npos : rest.find('/') + 1);
    if (level.empty() || level.back() != first) level.emplace_back(first);  // the names are sorted
  }
  return level;
}

// For messages: an archive's names may hold anything.
std::string listed(const std::vector<std::string>& level) {
  std::vector<std::string> names;
  for (const std::string& name : level) names.push_back(printable_name(name));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string folder_name(const std::string& first) {
  return first.ends_with('/') ? lower_case(first.substr(0, first.size() - 1)) : "";
}

bool is_split(const std::string& first) {
  return std::ranges::find(kSplitFolders, folder_name(first)) != kSplitFolders.end();
}

// Files beside the folders, such as a picture for the README, do not count.
bool is_split_level(const std::vector<std::string>& level) {
  const auto folder = [](const std::string& first) { return first.ends_with('/'); };
  return std::ranges::any_of(level, folder) &&
         std::ranges::all_of(level, [&](const std::string& first) { return !folder(first) || is_split(first); });
}

SplitSelection take(const std::vector<SourceImage>& images, size_t prefix, const std::string& folder) {
  SplitSelection result{.images = {}, .prefix = prefix + folder.size(), .folder = folder};
  for (int64_t i = 0; i < std::ssize(images); ++i) {
    if (std::string_view(images[i].name).substr(prefix).starts_with(folder)) result.images.push_back(i);
  }
  if (result.folder.ends_with('/')) result.folder.pop_back();
  return result;
}

}  // namespace

SplitSelection select_split(const ImageSource& source, Split split) {
  const std::vector<SourceImage>& images = source.images();
  size_t prefix = 0;
  std::vector<std::string> level = level_below(images, 0);
  while (!is_split_level(level) && level.size() == 1 && level.front().ends_with('/')) {
    prefix += level.front().size();
    level = level_below(images, prefix);
  }
  const bool splits = is_split_level(level);
  if (splits || split != Split::automatic) {
    for (const std::string_view wanted : folders_of(split)) {
      const auto found = std::ranges::find(level, wanted, folder_name);
      if (found != level.end()) return take(images, prefix, *found);
    }
  }
  if (splits && split == Split::automatic) {
    if (level.size() == 1) return take(images, prefix, level.front());
    throw UserError(fmt::format("{} holds {}, but no folder train. Set data.split to the one to take.", source.what(),
                                listed(level)),
                    UserError::Kind::usage);
  }
  if (split == Split::automatic) return take(images, source.may_be_wrapped() ? prefix : 0, "");

  constexpr size_t kExamples = 10;
  const bool more = level.size() > kExamples;
  level.resize(std::min(level.size(), kExamples));
  throw UserError(
      fmt::format("data.split is {}, but {} has no folder {}; it holds {}{}. Set data.split to auto, which takes all.",
                  name_of(split), source.what(), fmt::join(folders_of(split), " or "), listed(level),
                  more ? ", …" : ""),
      UserError::Kind::usage);
}

}  // namespace sgan
