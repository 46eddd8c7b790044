#pragma once

#include <string>

namespace sgan {

// "Fréchet distance" for "fd_digits_classifier"; the name itself where it is none of the program's scores.
std::string score_title(const std::string& name);

// For an axis, with its unit and the better direction: "Fréchet distance ↓ (no unit)".
std::string score_axis(const std::string& name, bool lower_is_better);

}  // namespace sgan
