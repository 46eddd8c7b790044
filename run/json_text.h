#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

namespace sgan {

// A JSON object of a run folder that may come from elsewhere; null where the text is none, or where it is nested deeper
// than kMaxJsonDepth: the library copies, compares and writes values by recursion, so that a file of brackets alone
// would exhaust the stack.
constexpr int kMaxJsonDepth = 64;
nlohmann::ordered_json parse_json_object(std::string_view text);

}  // namespace sgan
