#include "configs/wrap.h"

#include <algorithm>

namespace sgan {
namespace {

constexpr size_t kColumns = 100;

}  // namespace

std::string wrap(const std::string& text, size_t indent) {
  std::string result;
  size_t column = indent;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    const bool is_first = column == indent;
    if (!is_first && column + 1 + (end - begin) > kColumns) {
      result += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (!is_first) {
      result += ' ';
      ++column;
    }
    result += text.substr(begin, end - begin);
    column += end - begin;
    begin = end + 1;
  }
  return result + '\n';
}

}  // namespace sgan
