#include "data/printable_name.h"

#include <cstddef>
#include <cstdint>

#include <fmt/format.h>

namespace sgan {
namespace {

constexpr size_t kMaxShown = 200;

// The character that `text`, which is not empty, begins with: its code and its length in UTF-8, 0 where it is none.
struct Character {
  uint32_t code = 0;
  size_t bytes = 0;
};

Character first_of(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t head = byte(0);
  if (head < 0x80) return {head, 1};
  const size_t bytes = head >= 0xf0 ? 4 : head >= 0xe0 ? 3 : 2;
  if (head < 0xc2 || head > 0xf4 || text.size() < bytes) return {};
  uint32_t code = head & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  const bool overlong = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  if (overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, bytes};
}

// Besides the two blocks of control characters, those that break lines or turn the direction of what follows.
bool is_control(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x061c || (code >= 0x200e && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

}  // namespace

std::string printable_name(std::string_view name) {
  std::string shown;
  while (!name.empty()) {
    const Character character = first_of(name);
    std::string next;
    if (character.bytes == 0) {
      next = fmt::format("\\x{:02x}", static_cast<uint8_t>(name[0]));
    } else if (is_control(character.code)) {
      for (const char byte : name.substr(0, character.bytes))
        next += fmt::format("\\x{:02x}", static_cast<uint8_t>(byte));
    } else {
      next = name.substr(0, character.bytes);
    }
    if (shown.size() + next.size() > kMaxShown) return shown + "…";
    shown += next;
    name.remove_prefix(character.bytes == 0 ? 1 : character.bytes);
  }
  return shown;
}

}  // namespace sgan
