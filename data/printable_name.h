#pragma once

#include <string>
#include <string_view>

namespace sgan {

// A name from outside as a terminal may show it: control characters and bytes that are no UTF-8 are written as \xNN,
// and what is longer than 200 bytes is cut there and ends in "…".
std::string printable_name(std::string_view name);

}  // namespace sgan
