#pragma once

#include <string>
#include <string_view>

namespace sgan {

// Make the checksums of damaged files right again, so that what lies behind them is reached.

// POSIX ustar: of each header.
std::string with_tar_checksums(std::string text);

// PNG: of each chunk, and of the pixels where they are one stored block.
std::string with_png_checksums(std::string text);

// A zlib stream (RFC 1950) of one stored block, at most 65,535 bytes.
std::string zlib_stored(const std::string& content);

}  // namespace sgan
