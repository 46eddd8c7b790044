#pragma once

#include "normalization/quantizer.h"

namespace sgan {

// What an ActivationQuantizer computes: x is cut to [low, high] and rounded to a multiple of `step`.
struct InputRounding {
  double low;
  double high;
  double step;
};

InputRounding input_rounding(const ActivationQuantizerImpl& quantizer);

}  // namespace sgan
