#include "run/format.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace sgan {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr std::string_view kMinus = "−";

// The first code point of `text` and the bytes it takes; U+FFFD and one byte where the UTF-8 is invalid.
std::pair<char32_t, size_t> first_code_point(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {kReplacement, 1};
  char32_t code = lead & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) return {kReplacement, 1};
    code = (code << 6) | (byte & 0x3F);
  }
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kSmallest[length] || surrogate || code > 0x10FFFF) return {kReplacement, 1};
  return {code, length};
}

bool is_control(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

size_t width_of(char32_t code) {
  using Range = std::pair<char32_t, char32_t>;
  constexpr std::array<Range, 5> kZero = {
      {{0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}}};
  constexpr std::array<Range, 8> kWide = {{{0x1100, 0x115F},
                                           {0x2E80, 0xA4CF},
                                           {0xAC00, 0xD7A3},
                                           {0xF900, 0xFAFF},
                                           {0xFE30, 0xFE6F},
                                           {0xFF00, 0xFF60},
                                           {0x1F300, 0x1FAFF},
                                           {0x20000, 0x3FFFD}}};
  const auto holds = [code](const Range& range) { return code >= range.first && code <= range.second; };
  if (std::ranges::any_of(kZero, holds)) return 0;
  return std::ranges::any_of(kWide, holds) ? 2 : 1;
}

// Calls visit(code point, its bytes) for each character; what is_bad names arrives as U+FFFD.
template <class IsBad, class Visit>
void for_each_character(std::string_view text, IsBad is_bad, Visit visit) {
  while (!text.empty()) {
    const auto [code, length] = first_code_point(text);
    const bool bad = code == kReplacement || is_bad(code);
    visit(bad ? kReplacement : code, bad ? std::string_view("\uFFFD") : text.substr(0, length));
    text.remove_prefix(length);
  }
}

std::string with_minus_sign(std::string digits) {
  return digits.starts_with('-') ? std::string(kMinus) + digits.substr(1) : digits;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string html;
  const auto is_bad = [](char32_t code) { return is_control(code) && code != '\n' && code != '\t'; };
  for_each_character(text, is_bad, [&](char32_t code, std::string_view bytes) {
    switch (code) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        html += bytes;
    }
  });
  return html;
}

std::string printable(std::string_view text) {
  std::string clean;
  for_each_character(text, is_control, [&](char32_t, std::string_view bytes) { clean += bytes; });
  return clean;
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  for_each_character(text, is_control, [&](char32_t code, std::string_view) { width += width_of(code); });
  return width;
}

std::string shorten(std::string_view text, size_t width) {
  if (display_width(text) <= width) return std::string(text);
  std::string cut;
  size_t used = 1;  // the ellipsis
  bool full = false;
  for_each_character(text, is_control, [&](char32_t code, std::string_view bytes) {
    full = full || (used += width_of(code)) > width;
    if (!full) cut += bytes;
  });
  return cut + "…";
}

std::string format_number(double value, int digits) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "∞" : std::string(kMinus) + "∞";
  if (value == 0) return "0";
  // Rounding first: 9.996 has the exponent of 10.0.
  const std::string scientific = fmt::format("{:.{}e}", value, digits - 1);
  const size_t e = scientific.find('e');
  const int exponent = std::stoi(scientific.substr(e + 1));
  if (exponent < -3 || exponent > 5) return with_minus_sign(scientific.substr(0, e)) + "×" + power_of_ten(exponent);
  return with_minus_sign(fmt::format("{:.{}f}", value, std::max(0, digits - 1 - exponent)));
}

std::string format_count(double value) {
  const std::string digits = fmt::format("{:.0f}", std::abs(value));
  std::string grouped(value <= -0.5 ? kMinus : "");
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string power_of_ten(int exponent) {
  constexpr std::array<std::string_view, 10> kDigits = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = exponent < 0 ? "10⁻" : "10";
  for (const char digit : std::to_string(std::abs(exponent))) text += kDigits[static_cast<size_t>(digit - '0')];
  return text;
}

}  // namespace sgan
