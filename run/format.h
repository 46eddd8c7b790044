#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// Numbers and text as people see them, in the terminal and in HTML.

namespace sgan {

// Text as HTML content or attribute value: & < > " ' escaped; invalid UTF-8 and control characters become U+FFFD.
std::string escape_html(std::string_view text);

// Text that is safe in a table or on a terminal: invalid UTF-8 and control characters become U+FFFD.
std::string printable(std::string_view text);

// Columns that the text takes on a terminal: combining marks 0, East Asian wide characters and emoji 2, others 1.
size_t display_width(std::string_view text);

// The text, cut to at most `width` columns with an ellipsis as the last one.
std::string shorten(std::string_view text, size_t width);

// A number to `digits` significant digits: 0.0123, 1.00, 84512, 3.4×10⁸, −2.5, ∞, NaN.
std::string format_number(double value, int digits = 3);

// A count with its thousands grouped: 10,000.
std::string format_count(double value);

// 10⁻³ for −3.
std::string power_of_ten(int exponent);

}  // namespace sgan
