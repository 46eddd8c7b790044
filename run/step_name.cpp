#include "run/step_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "run/file_descriptor.h"

namespace sgan {
namespace {

constexpr std::string_view kPrefix = "step-";

}  // namespace

std::string step_name(int64_t step, std::string_view rest) {
  return fmt::format("{}{:08}{}", kPrefix, step, rest);
}

std::optional<StepName> parse_step_name(std::string_view name, std::string_view ending) {
  if (!name.starts_with(kPrefix) || !name.ends_with(ending) || name.size() < kPrefix.size() + ending.size()) return {};
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(ending.size());
  int64_t step = 0;
  const auto [rest, error] = std::from_chars(name.begin(), name.end(), step);
  if (error != std::errc() || step < 0) return std::nullopt;
  return StepName{step, std::string(rest, name.end())};
}

std::vector<std::pair<int64_t, std::filesystem::path>> files_by_step(const std::filesystem::path& folder,
                                                                     std::string_view ending) {
  std::vector<std::pair<int64_t, std::filesystem::path>> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const auto name = parse_step_name(entry->path().filename().string(), ending);
    if (name && name->rest.empty()) found.emplace_back(name->step, entry->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) throw file_error("list", folder, error.value());
  std::ranges::sort(found);
  return found;
}

}  // namespace sgan
