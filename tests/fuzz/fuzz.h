#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "configs/error.h"

namespace sgan {

// What must hold for every input. A violation ends the process, as libFuzzer wants it.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

// Calls work(); true where it returned, false after a UserError with a text. Other exceptions end the process.
template <class Work>
bool accepts(Work&& work) {
  try {
    std::forward<Work>(work)();
    return true;
  } catch (const UserError& error) {
    require(error.what()[0] != '\0', "an error says something");
    return false;
  }
}

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// The front of the input, up to a length that its first two bytes state; `data` and `size` become the rest.
inline std::span<const uint8_t> take_part(const uint8_t*& data, size_t& size) {
  if (size < 2) return {};
  const size_t stated = data[0] | static_cast<size_t>(data[1]) << 8;
  const size_t length = stated < size - 2 ? stated : size - 2;
  const std::span<const uint8_t> part(data + 2, length);
  data += 2 + length;
  size -= 2 + length;
  return part;
}

}  // namespace sgan
