#include "training/ema.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <algorithm>

namespace sgan {

double ema_decay(const EmaOptions& options, int64_t step) {
  const auto t = static_cast<double>(step);
  return options.warmup ? std::min(options.decay, (1 + t) / (10 + t)) : options.decay;
}

void update_ema(NetworkImpl& average, const NetworkImpl& source, double decay) {
  torch::NoGradGuard no_grad;
  at::_foreach_lerp_(average.parameters(), source.parameters(), 1 - decay);
  if (!source.buffers().empty()) at::_foreach_copy_(average.buffers(), source.buffers());
}

}  // namespace sgan
