#pragma once

#include <string>

namespace sgan {

// The file that a command's CONFIG names: itself, or, where there is none, the preset of that name that was installed
// with the program (configs/digits/spectral.yaml in share/spectral-gan).
std::string preset_path(const std::string& given);

}  // namespace sgan
