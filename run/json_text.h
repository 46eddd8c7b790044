#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sgan {

// A JSON object of a run folder that may come from elsewhere; null where the text is none, or where it is nested deeper
// than kMaxJsonDepth: the library copies, compares and writes values by recursion, so that a file of brackets alone
// would exhaust the stack.
constexpr int kMaxJsonDepth = 64;
nlohmann::ordered_json parse_json_object(std::string_view text);

// A member of such an object, or the fallback where it is missing or of another type.
double number_or(const nlohmann::ordered_json& object, const char* key, double fallback);
int64_t integer_or(const nlohmann::ordered_json& object, const char* key, int64_t fallback);
std::string text_or(const nlohmann::ordered_json& object, const char* key, const std::string& fallback);

}  // namespace sgan
