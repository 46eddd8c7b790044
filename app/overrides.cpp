#include "app/overrides.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/run_log.h"
#include "app/session.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "configs/schema.h"
#include "run/atomic_file.h"
#include "run/json_text.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kOverrides = "overrides";

bool is_change(const Json& entry, const KeyChange& change) {
  return entry.is_object() && text_or(entry, "key", "") == change.key && text_or(entry, "to", "") == change.to;
}

// True where run.json has the change among those of this step.
bool is_recorded(const Json& status, int64_t step, const KeyChange& change) {
  const auto overrides = status.find(kOverrides);
  if (overrides == status.end() || !overrides->is_array()) return false;
  return std::ranges::any_of(*overrides, [&](const Json& entry) {
    if (!entry.is_object() || !entry.contains("keys") || integer_or(entry, "step", -1) != step) return false;
    return std::ranges::any_of(entry["keys"], [&](const Json& key) { return is_change(key, change); });
  });
}

}  // namespace

std::vector<KeyChange> run_changes(const Config& trained, const Config& wanted) {
  const auto keys = differing_run_keys(trained, wanted);
  std::vector<KeyChange> changes;
  for (const auto& key : schema()) {
    if (std::ranges::find(keys, key.name) == keys.end()) continue;
    changes.push_back({key.name, key.get(trained), key.get(wanted)});
  }
  return changes;
}

std::vector<KeyChange> unrecorded(const RunFolder& folder, int64_t step, std::vector<KeyChange> changes) {
  const auto status = folder.read_status();
  std::erase_if(changes, [&](const KeyChange& change) { return is_recorded(status, step, change); });
  return changes;
}

std::string change_text(const std::vector<KeyChange>& changes) {
  std::string text;
  for (const auto& [key, from, to] : changes) {
    text += fmt::format("{}{} {} -> {}", text.empty() ? "" : ", ", key, from.empty() ? "\"\"" : from,
                        to.empty() ? "\"\"" : to);
  }
  return text;
}

void check_may_change(const RunFolder& folder, const std::vector<KeyChange>& changes) {
  for (const auto& change : changes) {
    if (change.key != "seed") continue;
    throw UserError(
        fmt::format("seed is {} and cannot become {} in the middle of a run, also not with --override: initial values, "
                    "batches and latents came from it, and comparisons pair runs by it. Start a new run with "
                    "`spectral-gan train {} seed={}`.",
                    change.from, change.to, folder.config_path().string(), change.to),
        UserError::Kind::usage);
  }
}

void record_override(RunFolder& folder, const Config& config, int64_t step, const std::vector<KeyChange>& changes) {
  // The config first: should the process end between the two, the next one is refused, and told so, rather than go on
  // with a change that nothing records.
  write_file_atomically(folder.config_path(), dump_config(config));
  if (changes.empty()) return;
  Json keys = Json::array();
  for (const auto& [key, from, to] : changes) keys.push_back({{"key", key}, {"from", from}, {"to", to}});
  auto status = folder.read_status();
  if (!status.contains(kOverrides) || !status[kOverrides].is_array()) status[kOverrides] = Json::array();
  status[kOverrides].push_back({{"step", step}, {"time", now_text()}, {"keys", std::move(keys)}});
  folder.write_status(status);
  log_line(folder.log_path(), fmt::format("overridden from step {} on: {}", step, change_text(changes)));
}

}  // namespace sgan
