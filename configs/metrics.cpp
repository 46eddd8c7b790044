#include "configs/metrics.h"

#include <algorithm>
#include <sstream>

namespace sgan {

std::optional<std::vector<Metric>> parse_metrics(const std::string& text) {
  std::vector<Metric> metrics;
  std::istringstream list(text);
  for (std::string name; std::getline(list, name, ',');) {
    std::erase(name, ' ');
    const auto metric = value_of<Metric>(name);
    if (!metric) return std::nullopt;
    if (std::ranges::find(metrics, *metric) == metrics.end()) metrics.push_back(*metric);
  }
  if (metrics.empty() || text.ends_with(',')) return std::nullopt;
  return metrics;
}

}  // namespace sgan
