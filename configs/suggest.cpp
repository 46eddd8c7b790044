#include "configs/suggest.h"

#include <algorithm>
#include <cctype>
#include <cstddef>

namespace sgan {
namespace {

constexpr size_t kLongestWord = 64;   // longer words are no typing errors, and the distance takes quadratic time
constexpr size_t kLongestQuote = 80;  // bytes

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

// Damerau–Levenshtein distance in its optimal string alignment form: no piece of the text is edited twice.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string suggest(std::string_view got, const std::vector<std::string>& candidates) {
  if (got.empty() || got.size() > kLongestWord) return "";
  std::string nearest;
  size_t limit = std::max<size_t>(1, got.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t edits = distance(lower(got), lower(candidate));
    if (edits < limit && edits < candidate.size()) {
      limit = edits;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string in_quotes(std::string_view text) {
  std::string shown(text.substr(0, kLongestQuote));
  std::ranges::replace_if(
      shown, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return "'" + shown + (text.size() > kLongestQuote ? "…'" : "'");
}

}  // namespace sgan
