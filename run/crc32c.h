#pragma once

#include <cstdint>
#include <string_view>

namespace sgan {

// CRC-32C (Castagnoli; RFC 3720, appendix B.4), which TensorFlow's record files carry; zlib's is another polynomial.
uint32_t crc32c(std::string_view bytes);

}  // namespace sgan
