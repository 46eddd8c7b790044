#pragma once

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

// What the pages about quantization have in common: readers of quantize.json and quantization.json, and pieces of HTML.

namespace sgan {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

// NaN where there is no number.
double number_at(const nlohmann::ordered_json& object, const std::string& key);

// The text at the key, which must be there, as HTML.
std::string text_at(const nlohmann::ordered_json& object, const char* key);

// The number at the key to `digits` digits; empty where nothing was measured. Null is "∞" for the ratio to no error at
// all, else "none".
std::string measured_cell(const nlohmann::ordered_json& object, const std::string& key, int digits = 4);

// "max scale, by layer", of an object with arm and per.
std::string arm_title(const nlohmann::ordered_json& arm);

// A PNG within the page. caption, alt: text. Errors: UserError where it cannot be read.
std::string picture_figure(const std::filesystem::path& png, const std::string& caption, const std::string& alt);

// The section that says what the numbers are. protocol: of the scores, null without.
std::string definitions_section(const nlohmann::ordered_json& definitions, const nlohmann::ordered_json& protocol);

}  // namespace sgan
