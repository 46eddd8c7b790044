#pragma once

#include <map>
#include <optional>
#include <string>

#include "training/state.h"

namespace sgan {

// Cheap numbers about a critic in training, read from it as it is (eval mode, nothing moves). Where the step
// normalizes the critic by its gradient, the slopes are those of the normalized one.
struct CriticProbe {
  double slope_mean = 0;                          // ‖∇ₓD‖₂ over real, fake and interpolated points
  double slope_max = 0;                           // a lower bound of the Lipschitz constant
  std::map<std::string, double> sigma;            // σ̂ of each layer that estimates it, before its weight is divided
  std::map<std::string, double> sigma_effective;  // σ(R) of the weight each layer computes with, exact to rounding
};

// real, fake: (N, …); epsilon: (N, 1, …) in [0, 1] for the interpolates.
CriticProbe probe_critic(NetworkImpl& discriminator, bool gradient_normalization, const torch::Tensor& real,
                         const torch::Tensor& fake, const torch::Tensor& epsilon);

}  // namespace sgan
