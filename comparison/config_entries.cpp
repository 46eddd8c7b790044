#include "comparison/config_entries.h"

#include <algorithm>

namespace sgan {
namespace {

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return "";
  text = text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
  const bool quoted = text.size() > 1 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0];
  return std::string(quoted ? text.substr(1, text.size() - 2) : text);
}

}  // namespace

Entries config_entries(std::string_view text) {
  Entries entries;
  std::vector<std::pair<size_t, std::string>> sections;  // indentation and path of those that the line is in
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const size_t indent = line.find_first_not_of(' '), colon = line.find(':');
    if (indent == std::string_view::npos || colon == std::string_view::npos || line[indent] == '#') continue;
    while (!sections.empty() && sections.back().first >= indent) sections.pop_back();
    const std::string key = trimmed(line.substr(0, colon)), value = trimmed(line.substr(colon + 1));
    const std::string path = sections.empty() ? key : sections.back().second + "." + key;
    if (value.empty()) {
      sections.emplace_back(indent, path);
    } else {
      entries.emplace_back(path, value);
    }
  }
  return entries;
}

std::string_view entry(const Entries& entries, std::string_view key) {
  const auto found = std::ranges::find(entries, key, [](const auto& pair) { return std::string_view(pair.first); });
  return found == entries.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace sgan
