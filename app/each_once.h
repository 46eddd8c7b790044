#pragma once

#include <algorithm>
#include <vector>

namespace sgan {

// The items in their order, each where it comes first.
template <class Item>
std::vector<Item> each_once(const std::vector<Item>& items) {
  std::vector<Item> result;
  for (const auto& item : items) {
    if (std::ranges::find(result, item) == result.end()) result.push_back(item);
  }
  return result;
}

}  // namespace sgan
