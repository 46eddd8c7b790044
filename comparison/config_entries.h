#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sgan {

// Keys' dotted paths and their values as text, in the file's order.
using Entries = std::vector<std::pair<std::string, std::string>>;

// A run's config.yaml, read as the program writes it, one key a line, so that runs of other versions can be read too.
Entries config_entries(std::string_view text);

// The value of a key such as "data.kind", or "".
std::string_view entry(const Entries& entries, std::string_view key);

}  // namespace sgan
