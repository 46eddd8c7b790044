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
        "much for it (Arjovsky et al. 2017, section 4); use rmsprop, or momentum 0.");
  }
  if (config.loss == LossKind::wgan && config.discriminator.weight == WeightKind::spectral) {
    lines.emplace_back(
        "loss is wgan with spectral normalization: it trains badly, as the method's author says too "
        "(pfnet-research/sngan_projection#15); use hinge or ns.");
  }
  if (config.loss == LossKind::wgan && config.discriminator.weight == WeightKind::none && config.penalties.empty() &&
      config.constraint.kind == ConstraintKind::none && !config.discriminator.gradient_normalization) {
    lines.emplace_back(
        "loss is wgan and nothing bounds the critic's slope: its output will grow without limit; add a penalty such as "
        "penalties=[{kind: gp}], or constraint.kind=clip.");
  }
  if (config.loss == LossKind::wgan && config.discriminator.weight == WeightKind::weight_norm &&
      config.penalties.empty() && config.constraint.kind == ConstraintKind::none) {
    lines.emplace_back(
        "loss is wgan with weight normalization alone, which is no Lipschitz constraint: gains grow freely; add a "
        "penalty "
        "such as penalties=[{kind: gp}], or use a spectral kind.");
  }
  for (const auto& [kind, weight, every] : config.penalties) {
    if (kind == PenaltyKind::spectral && config.discriminator.weight == WeightKind::spectral) {
      lines.emplace_back(
          "penalties has spectral on weights that spectral normalization has divided by their singular value already: "
          "the penalty is constant; take one of the two.");
    }
    const bool spectral = kind == PenaltyKind::spectral;
    if ((!spectral && kind != PenaltyKind::orthogonal) || weight < 1) continue;
    lines.push_back(fmt::format(
        "penalties has {} with weight {:g}, which suits penalties on gradients; its authors use {}.", name_of(kind),
        weight, spectral ? "0.01 (Yoshida & Miyato 2017)" : "1e-4 (Brock et al. 2019, section 3.1)"));
  }
  return lines;
}

}  // namespace sgan
