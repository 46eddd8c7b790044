#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace sgan {

// The page about what `quantize` found: result is its quantize.json, folder where the pictures lie that it names.
// Errors: UserError where a picture cannot be read.
std::string quantization_page(const nlohmann::ordered_json& result, const std::filesystem::path& folder);

}  // namespace sgan
