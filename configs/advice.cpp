#include "configs/advice.h"

#include <fmt/format.h>

namespace sgan {

std::vector<std::string> advice(const Config& config) {
  std::vector<std::string> lines;
  const auto& optimizer = config.optimizer.discriminator;
  if (config.constraint.kind == ConstraintKind::clip && optimizer.kind == OptimizerKind::sgd &&
      optimizer.momentum > 0) {
    lines.emplace_back(
        "constraint.kind is clip and optimizer.discriminator has momentum: a clipped critic's gradients change too "
        "much "
        "for it (Arjovsky et al. 2017, section 4); use rmsprop, or momentum 0.");
  }
  if (config.loss == LossKind::wgan && config.discriminator.weight == WeightKind::spectral) {
    lines.emplace_back(
        "loss is wgan with spectral normalization: it trains badly, as the method's author says too "
        "(pfnet-research/sngan_projection#15); use hinge or ns.");
  }
  if (config.loss == LossKind::wgan && config.discriminator.weight == WeightKind::none && config.penalties.empty() &&
      config.constraint.kind == ConstraintKind::none) {
    lines.emplace_back(
        "loss is wgan and nothing bounds the critic's slope: its output will grow without limit; add a penalty such as "
        "penalties=[{kind: gp}], or constraint.kind=clip.");
  }
  return lines;
}

}  // namespace sgan
