#include "configs/key_paths.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/suggest.h"

namespace sgan {

std::string join_path(const std::string& section, const std::string& name) {
  return section.empty() ? name : section + "." + name;
}

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}

std::string parent_path(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

std::vector<std::string> children(const std::string& section) {
  std::vector<std::string> names;
  const std::string prefix = join_path(section, "");
  for (const Key& key : schema()) {
    if (!key.name.starts_with(prefix)) continue;
    const std::string name = key.name.substr(prefix.size(), key.name.find('.', prefix.size()) - prefix.size());
    if (names.empty() || names.back() != name) names.push_back(name);
  }
  return names;
}

std::string did_you_mean(const std::string& path) {
  const std::vector<std::string> siblings = children(parent_path(path));
  std::vector<std::string> meant;
  if (siblings.empty()) {
    if (const std::string near = suggest(path, names_of(schema())); !near.empty()) meant = {near};
  } else if (const std::string near = suggest(last_part(path), siblings); !near.empty()) {
    meant = {join_path(parent_path(path), near)};
  }
  if (meant.empty()) {
    meant = names_of(schema());
    std::erase_if(meant, [&](const std::string& name) { return last_part(name) != last_part(path); });
  }
  return meant.empty() ? "" : fmt::format("did you mean '{}'? ", fmt::join(meant, "' or '"));
}

}  // namespace sgan
