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

double number_or(const nlohmann::ordered_json& object, const char* key, double fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : fallback;
}

int64_t integer_or(const nlohmann::ordered_json& object, const char* key, int64_t fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : fallback;
}

std::string text_or(const nlohmann::ordered_json& object, const char* key, const std::string& fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : fallback;
}

}  // namespace sgan
