#include "report/score_names.h"

#include <array>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace sgan {

std::string score_title(const std::string& name) {
  constexpr auto kTitles = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"fd", "Fréchet distance"},
      {"kd", "Kernel distance"},
      {"is", "Inception Score"},
      {"precision", "Precision"},
      {"recall", "Recall"},
      {"density", "Density"},
      {"coverage", "Coverage"},
      {"swd", "Sliced Wasserstein distance"},
      {"modes_covered", "Modes covered"},
      {"high_quality", "High-quality share"},
      {"w1", "1-Wasserstein distance"},
  });
  for (const auto& [prefix, title] : kTitles) {
    if (name == prefix || name.starts_with(std::string(prefix) + "_")) return std::string(title);
  }
  return name;
}

std::string score_axis(const std::string& name, bool lower_is_better) {
  const std::string_view unit = name == "swd" ? "10⁻³" : name == "w1" ? "data units" : "no unit";
  return fmt::format("{} {} ({})", score_title(name), lower_is_better ? "↓" : "↑", unit);
}

}  // namespace sgan
