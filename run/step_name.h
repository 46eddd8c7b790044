#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sgan {

// The names of files that belong to a step: "step-00001000.png", "step-00001000-digits-….json".

// rest: what follows the number, with the ending.
std::string step_name(int64_t step, std::string_view rest);

struct StepName {
  int64_t step;
  std::string rest;  // between the number and the ending: "", "-digits-…"
};
// Nothing for other names.
std::optional<StepName> parse_step_name(std::string_view name, std::string_view ending);

// (step, file) of the names in a folder that have nothing between number and ending, by step; none where there is no
// such folder. Errors: UserError where it cannot be listed.
std::vector<std::pair<int64_t, std::filesystem::path>> files_by_step(const std::filesystem::path& folder,
                                                                     std::string_view ending);

}  // namespace sgan
