#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "configs/schema.h"

// The dotted names of keys, and what lies below them. For configs/*.cpp.

namespace sgan {

std::string join_path(const std::string& section, const std::string& name);
std::string last_part(const std::string& path);
// All but the last part; "" at the top.
std::string parent_path(const std::string& path);

// The names directly below a section, "" being the whole config; none where there is no such section.
std::vector<std::string> children(const std::string& section);

template <class Owner>
const KeyOf<Owner>* find_key(const std::vector<KeyOf<Owner>>& keys, const std::string& name) {
  const auto found = std::ranges::find(keys, name, &KeyOf<Owner>::name);
  return found == keys.end() ? nullptr : &*found;
}

template <class Owner>
std::vector<std::string> names_of(const std::vector<KeyOf<Owner>>& keys) {
  std::vector<std::string> names;
  for (const auto& key : keys) names.push_back(key.name);
  return names;
}

// What an unknown key may have meant, "did you mean 'a.b'? ": a neighbour, else the keys of that name in other
// sections.
std::string did_you_mean(const std::string& path);

}  // namespace sgan
