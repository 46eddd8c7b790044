#include "training/probe.h"

#include "lipschitz/critic_slope.h"
#include "lipschitz/reshaped_sigma.h"
#include "losses/gradient_normalization.h"
#include "training/precision.h"

namespace sgan {

CriticProbe probe_critic(NetworkImpl& discriminator, bool gradient_normalization, const torch::Tensor& real,
                         const torch::Tensor& fake, const torch::Tensor& epsilon) {
  const ExactFloat32Scope exact;
  const auto weights = discriminator.frozen_weights();
  const Critic plain = [&](const torch::Tensor& x) { return discriminator.forward(x, weights, Mode::eval); };
  const auto slope = critic_slope(gradient_normalization ? gradient_normalized(plain) : plain,
                                  torch::cat({real, fake, interpolate(real, fake, epsilon)}));

  CriticProbe probe;
  probe.slope_mean = slope.mean.item<double>();
  probe.slope_max = slope.max.item<double>();
  for (const auto& [name, layer] : discriminator.layers()) {
    const auto sigma = layer->parametrization().sigma();
    if (sigma.defined()) probe.sigma[name] = sigma.item<double>();
    probe.sigma_effective[name] = reshaped_sigma(weights.of(*layer), layer->geometry().output_dim()).item<double>();
  }
  return probe;
}

}  // namespace sgan
