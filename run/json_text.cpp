#include "run/json_text.h"

namespace sgan {
namespace {

struct TooDeep {};

}  // namespace

nlohmann::ordered_json parse_json_object(std::string_view text) {
  using nlohmann::ordered_json;
  const auto inspect = [](int depth, ordered_json::parse_event_t, ordered_json&) {
    if (depth > kMaxJsonDepth) throw TooDeep();
    return true;
  };
  try {
    ordered_json value = ordered_json::parse(text, inspect, /*allow_exceptions=*/false);
    if (value.is_object()) return value;
  } catch (const TooDeep&) {
  }
  return nullptr;
}

}  // namespace sgan
