#pragma once

#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <string>

#include "configs/options.h"
#include "configs/yaml.h"

// From YAML to Config, piece by piece; what goes together is not checked here. For configs/*.cpp.

namespace sgan {

// Reads what stands at a dotted path: a value, the list or a section, "" being the whole config.
void read_node(const Origin& origin, Config& config, const std::string& path, const YAML::Node& key_node,
               const YAML::Node& node);

// Applies a file, and before it the files that it extends.
void read_config_file(Config& config, const std::filesystem::path& file, const std::string& where = {});
// The same of a text whose `extends` is relative to the working directory.
void read_config_text(Config& config, const Origin& origin, const std::string& text);

// Applies "key=value".
void read_override(Config& config, const std::string& text);

}  // namespace sgan
