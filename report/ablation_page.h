#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace sgan {

// The page about a comparison's quantization: result is what quantization_ablation() made, folder the comparison's, in
// which the pictures lie that it names. Errors: UserError where a picture cannot be read.
std::string ablation_page(const nlohmann::ordered_json& result, const std::filesystem::path& folder);

}  // namespace sgan
