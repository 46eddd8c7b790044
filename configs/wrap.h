#pragma once

#include <cstddef>
#include <string>

namespace sgan {

// Breaks a text between words for a terminal of 100 columns, where it begins at column `indent`; lines after the first
// begin with as many spaces. Ends with a line end.
std::string wrap(const std::string& text, size_t indent);

}  // namespace sgan
