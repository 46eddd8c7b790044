#include "configs/strategy.h"

namespace sgan {

std::string strategy_name(const Config& config) {
  std::string name;
  const auto add = [&](std::string_view part) {
    if (part == "none") return;
    if (!name.empty()) name += '+';
    name += part;
  };
  add(name_of(config.discriminator.weight));
  add(name_of(config.discriminator.norm));
  if (config.discriminator.gradient_normalization) add("gn");
  for (const auto& penalty : config.penalties) {
    const bool on_weights = penalty.kind == PenaltyKind::spectral || penalty.kind == PenaltyKind::orthogonal;
    add(std::string(name_of(penalty.kind)) + (on_weights ? "_penalty" : ""));
  }
  add(name_of(config.constraint.kind));
  if (config.discriminator.quantizer != QuantizerKind::none) {
    add(std::string(name_of(config.discriminator.quantizer)) + "_weights");
  }
  return name.empty() ? "none" : name;
}

}  // namespace sgan
