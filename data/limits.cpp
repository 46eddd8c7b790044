#include "data/limits.h"

#include <fmt/format.h>

namespace sgan {

std::string too_many_image_bytes() {
  return fmt::format("has more than {} MiB", kMaxImageBytes / kMiB);
}

}  // namespace sgan
