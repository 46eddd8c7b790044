#include "training/ema.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <algorithm>

namespace sgan {

double ema_decay(const EmaOptions& options, int64_t step) {
  const auto t = static_cast<double>(step);
  return options.warmup ? std::min(options.decay, (1 + t) / (10 + t)) : options.decay;
}

void update_ema(NetworkImpl& average, const NetworkImpl& source, const Rate& decay) {
  torch::NoGradGuard no_grad;
  const auto averages = average.parameters();
  if (const auto* number = std::get_if<double>(&decay)) {
    at::_foreach_lerp_(averages, source.parameters(), 1 - *number);
  } else {
    const auto share = (1 - std::get<torch::Tensor>(decay)).to(averages.front().scalar_type());
    at::_foreach_lerp_(averages, source.parameters(), std::vector<torch::Tensor>(averages.size(), share));
  }
  if (!source.buffers().empty()) at::_foreach_copy_(average.buffers(), source.buffers());
}

}  // namespace sgan
