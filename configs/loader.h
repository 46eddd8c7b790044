#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "configs/options.h"

namespace sgan {

// Reads a YAML config, at most 1 MiB. `extends: other.yaml`, relative to the file, is read first, sixteen files deep at
// most: sections merge, lists are replaced. Then come the overrides, "train.steps=500", each value being YAML.
// Reading is strict. Throws UserError (usage); its text begins "file:line:column: ", "file: " where no line is to
// blame, or "command line, 'key=value': ".
Config load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

// The same from memory. `origin` stands for the file in errors; `extends` is relative to the working directory.
Config parse_config(const std::string& text, const std::string& origin, const std::vector<std::string>& overrides = {});

// The same of what dump_config wrote, perhaps in a file that came from elsewhere: `extends` is refused, so that the
// text reads no other file.
Config parse_resolved_config(const std::string& text, const std::string& origin);
// The keys whose values differ, in the schema's order.
std::vector<std::string> differing_keys(const Config& a, const Config& b);
// Those of them that make another run; device, execution and data.memory only say where and how it is computed.
std::vector<std::string> differing_run_keys(const Config& a, const Config& b);
// Throws UserError (usage), naming the keys, where values that are each allowed do not go together.
void check_config(const Config& config);

// All keys as YAML, in the schema's order. Reads back to the same config bit for bit.
std::string dump_config(const Config& config);

// Those of its keys alone.
std::string dump_keys(const Config& config, const std::vector<std::string>& keys);
// They as the command line has them: "discriminator.weight=none penalties=[]".
std::string override_text(const Config& config, const std::vector<std::string>& keys);

// Every key with help, type, default and allowed values: for a terminal of 100 columns, and as Markdown.
std::string describe_keys();
std::string describe_keys_markdown();

}  // namespace sgan
