#include "configs/loader.h"

#include "configs/config_reader.h"
#include "configs/schema.h"

namespace sgan {
namespace {

Config finish(Config config, const std::string& origin, const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) read_override(config, text);
  try {
    check_config(config);
  } catch (const UserError& error) {
    fail_usage("{}: {}", origin, error.what());
  }
  return config;
}

}  // namespace

Config load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  Config config;
  read_config_file(config, file);
  return finish(std::move(config), file.string(), overrides);
}

Config parse_config(const std::string& text, const std::string& origin, const std::vector<std::string>& overrides) {
  Config config;
  read_config_text(config, {origin}, text);
  return finish(std::move(config), origin, overrides);
}

Config parse_resolved_config(const std::string& text, const std::string& origin) {
  const YAML::Node root = parse_yaml({origin}, text);
  if (root.IsMap() && root["extends"])
    fail_usage("{}: got extends, which no resolved config has; the file was altered.", origin);
  return parse_config(text, origin);
}

std::vector<std::string> differing_keys(const Config& a, const Config& b) {
  std::vector<std::string> keys;
  for (const Key& key : schema()) {
    if (key.get(a) != key.get(b)) keys.push_back(key.name);
  }
  return keys;
}

std::vector<std::string> differing_run_keys(const Config& a, const Config& b) {
  auto keys = differing_keys(a, b);
  std::erase_if(keys,
                [](const std::string& key) { return key == "device" || key == "execution" || key == "data.memory"; });
  return keys;
}

}  // namespace sgan
