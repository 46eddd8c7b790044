#pragma once

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "configs/error.h"
#include "configs/suggest.h"

// YAML texts as this program reads them: strictly, and with errors that name file, line and column. For configs/*.cpp.

namespace sgan {

constexpr std::string_view kReference = "'spectral-gan config' explains every key.";

template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> text, Args&&... args) {
  throw UserError(fmt::format(text, std::forward<Args>(args)...), UserError::Kind::usage);
}

// Where a text comes from: with it every error begins.
struct Origin {
  std::string name;
  bool has_lines = true;

  std::string at(const YAML::Mark& mark) const {
    if (!has_lines || mark.is_null()) return name + ": ";
    return fmt::format("{}:{}:{}: ", name, mark.line + 1, mark.column + 1);
  }

  template <class... Args>
  [[noreturn]] void fail(const YAML::Mark& mark, fmt::format_string<Args...> text, Args&&... args) const {
    fail_usage("{}{}", at(mark), fmt::format(text, std::forward<Args>(args)...));
  }
};

// The one document of a text of at most 1 MiB.
YAML::Node parse_yaml(const Origin& origin, const std::string& text);

// "a section", "a list", "'text'" …
std::string what_it_is(const YAML::Node& node);

// A null may have no place of its own; its key's stands in.
YAML::Mark place(const YAML::Node& node, const YAML::Node& key);

// Visits a map's pairs as (name, key node, value node). yaml-cpp itself lets duplicate keys pass.
template <class Visit>
void for_each_pair(const Origin& origin, const YAML::Node& map, Visit visit) {
  std::set<std::string> seen;
  for (const auto& pair : map) {
    const YAML::Node& key = pair.first;
    if (!key.IsScalar()) origin.fail(map.Mark(), "got {} for a key, allowed: a name. {}", what_it_is(key), kReference);
    const std::string& name = key.Scalar();
    if (!seen.insert(name).second) origin.fail(key.Mark(), "duplicate key {}; keep one of the two.", in_quotes(name));
    visit(name, key, pair.second);
  }
}

// A file's text. `where` begins the errors: the place that names the file, or nothing.
std::string read_yaml_text(const std::filesystem::path& file, const std::string& where);

}  // namespace sgan
