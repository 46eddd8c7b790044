#include "data/image_source.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace sgan {
namespace {

constexpr std::array<std::string_view, 5> kEndings = {".png", ".jpg", ".jpeg", ".bmp", ".webp"};

}  // namespace

std::string image_endings() {
  return fmt::format("{}", fmt::join(kEndings, ", "));
}

bool has_image_ending(std::string_view name) {
  return std::ranges::any_of(kEndings, [&](std::string_view ending) {
    return name.size() > ending.size() &&
           std::ranges::equal(name.substr(name.size() - ending.size()), ending,
                              [](unsigned char a, char b) { return std::tolower(a) == b; });
  });
}

bool path_less(std::string_view a, std::string_view b) {
  const auto weight = [](char c) { return c == '/' ? 0 : 1 + static_cast<unsigned char>(c); };
  return std::ranges::lexicographical_compare(a, b, {}, weight, weight);
}

bool is_hidden(std::string_view path) {
  return path.starts_with('.') || path.find("/.") != path.npos;
}

}  // namespace sgan
