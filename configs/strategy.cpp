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
    add(std::string(name_of(penalty.kind)) + (is_on_weights(penalty.kind) ? "_penalty" : ""));
  }
  add(name_of(config.constraint.kind));
  if (config.discriminator.quantizer != QuantizerKind::none) {
    add(std::string(name_of(config.discriminator.quantizer)) + "_weights");
  }
  return name.empty() ? "none" : name;
}

bool is_on_weights(PenaltyKind kind) {
  return kind == PenaltyKind::spectral || kind == PenaltyKind::orthogonal;
}

}  // namespace sgan
