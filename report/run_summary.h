#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "comparison/config_entries.h"
#include "comparison/results.h"
#include "report/sample_slider.h"

namespace sgan {

// What the report shows of one run folder. nullopt: not recorded; NaN: recorded, but not finite.
struct RunSummary {
  std::filesystem::path folder;
  std::string name, strategy, seed, status;
  int64_t steps = 0;  // of the last log point

  std::vector<std::string> incidents;  // what went wrong or was interfered with, a sentence each, by run.json

  Entries record;           // run.json without the incidents, flattened
  std::string config_text;  // config.yaml as it is
  Entries config;           // config.yaml, flattened
  std::vector<nlohmann::ordered_json> metrics;

  std::optional<double> ms_per_step;               // median over the log points after the first, which has the warm-up
  std::optional<double> slope_mean, slope_max;     // ‖∇ₓD‖ at the last probe
  std::optional<double> sigma_max, sigma_product;  // of the last sigma_effective, over its layers
  std::optional<std::filesystem::path> reals;      // samples/reals.png
  std::vector<SampleGrid> grids;                   // samples/step-*.png by step
  Evaluations evaluations;
  Brackets brackets;

  // The value of a config key such as "data.kind", or "".
  std::string_view config_value(std::string_view key) const { return entry(config, key); }
};

// Reads a run folder, also one that is still running or failed. Errors: UserError that names the missing or unreadable
// file.
RunSummary read_run(const std::filesystem::path& folder);

// A JSON object's keys as dotted paths and their values as text, strings as they are.
Entries flattened(const nlohmann::ordered_json& object);

// One short name per run, all different: the strategy, with the seed or the run's name where that is needed.
std::vector<std::string> run_labels(const std::vector<RunSummary>& runs);

}  // namespace sgan
