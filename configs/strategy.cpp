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
  for (const auto& penalty : config.penalties) add(name_of(penalty.kind));
  add(name_of(config.constraint.kind));
  return name.empty() ? "none" : name;
}

}  // namespace sgan
