#pragma once

#include <cstdint>

#include "data/dataset.h"

namespace sgan {

// The UCI optical handwritten digits (see digits_pixels.inc for source and licence), light on a dark background:
// uint8 (N, 1, size, size), labels and classes 0..9. size: 8 or 0 for the images as they are; 16, 32 or 64 enlarges
// them to 7/8 of that, framed by background. Any other size throws UserError.
Dataset load_digits(int64_t size);       // the training split: all 1,797 but the last 360
Dataset load_digits_test(int64_t size);  // the last 360

}  // namespace sgan
