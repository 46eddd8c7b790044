#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "configs/key_paths.h"
#include "configs/loader.h"
#include "configs/schema.h"
#include "configs/wrap.h"

namespace sgan {
namespace {

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Quotes a text that YAML 1.1 or 1.2 could read as something else. The schema lets no control characters come here.
std::string yaml_text(const std::string& text) {
  static const std::set<std::string> kReserved{"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
  const auto is_plain = [](unsigned char c) { return std::isalnum(c) || std::strchr("_-./", c); };
  const bool begins_with_letter = !text.empty() && std::isalpha(static_cast<unsigned char>(text.front()));
  if (begins_with_letter && std::ranges::all_of(text, is_plain) && !kReserved.contains(lower(text))) return text;

  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

// A key as the reference shows it.
struct Row {
  std::string name, type, default_value, allowed, help;
};

template <class Owner>
Row row_of(const KeyOf<Owner>& key, const std::string& prefix) {
  const std::string value = key.get(Owner{});
  return {prefix + key.name, std::string(type_name(key.type)), key.type == KeyType::text ? yaml_text(value) : value,
          key.allowed, key.help};
}

std::vector<Row> reference() {
  std::vector<Row> rows{
      {"extends", "text", "none", "a path",
       "A config file that is read first, relative to this one: sections merge, lists are replaced."}};
  for (const Key& key : schema()) {
    rows.push_back(row_of(key, ""));
    if (key.type != KeyType::list) continue;
    for (const auto& item_key : penalty_schema()) rows.push_back(row_of(item_key, key.name + "[]."));
  }
  return rows;
}

std::string first_part(const std::string& path) {
  return path.substr(0, path.find_first_of(".["));
}

std::string value_text(const Key& key, const Config& config) {
  const std::string value = key.get(config);
  return key.type == KeyType::text ? yaml_text(value) : value;
}

// Those keys as YAML, in the schema's order.
std::string dump(const Config& config, const std::function<bool(const Key&)>& is_wanted) {
  std::string text;
  std::string open;  // the section that the last line belongs to
  for (const Key& key : schema()) {
    if (!is_wanted(key)) continue;
    const std::string section = parent_path(key.name);
    for (size_t end = 0; end < section.size(); ++end) {
      end = std::min(section.find('.', end), section.size());
      const std::string part = section.substr(0, end);
      if (open != part && !open.starts_with(part + ".")) {
        text += fmt::format("{:{}}{}:\n", "", 2 * std::ranges::count(part, '.'), last_part(part));
      }
    }
    open = section;
    text += fmt::format("{:{}}{}: {}\n", "", 2 * std::ranges::count(key.name, '.'), last_part(key.name),
                        value_text(key, config));
  }
  return text;
}

}  // namespace

std::string dump_config(const Config& config) {
  return dump(config, [](const Key&) { return true; });
}

std::string dump_keys(const Config& config, const std::vector<std::string>& keys) {
  return dump(config, [&](const Key& key) { return std::ranges::find(keys, key.name) != keys.end(); });
}

std::string override_text(const Config& config, const std::vector<std::string>& keys) {
  std::string text;
  for (const Key& key : schema()) {
    if (std::ranges::find(keys, key.name) == keys.end()) continue;
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", key.name, value_text(key, config));
  }
  return text;
}

std::string describe_keys() {
  const std::vector<Row> rows = reference();
  size_t indent = 0;
  for (const Row& row : rows) indent = std::max(indent, row.name.size() + 2);
  std::string text;
  std::string group;  // the top-level section of the last row, or nothing
  for (const Row& row : rows) {
    const std::string row_group = row.name.find('.') == std::string::npos ? "" : first_part(row.name);
    if (row_group != group) text += '\n';
    group = row_group;
    text += fmt::format("{:{}}{}", row.name, indent, wrap(row.help, indent));
    text += fmt::format("{:{}}{}", "", indent,
                        wrap(fmt::format("{}, default {}; {}", row.type, row.default_value, row.allowed), indent));
  }
  return text;
}

std::string describe_keys_markdown() {
  std::string text = "| key | type | default | allowed | meaning |\n|---|---|---|---|---|\n";
  for (const Row& row : reference()) {
    text +=
        fmt::format("| `{}` | {} | `{}` | {} | {} |\n", row.name, row.type, row.default_value, row.allowed, row.help);
  }
  return text;
}

}  // namespace sgan
