#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "configs/options.h"

namespace sgan {

struct SweepStrategy {
  std::string name;  // letters, digits, '.', '_', '-': it names folders
  Config config;     // resolved, but for the seed
};

// How long each run trains; at most one of the three is set.
struct SweepBudget {
  int64_t steps = 0;   // generator updates
  int64_t images = 0;  // real images that the discriminator sees
  double seconds = 0;  // of updates
};

// A comparison: strategies × seeds, runs that differ in nothing else.
struct Sweep {
  std::string name;
  std::string output = "outputs/compare";  // folder below which the comparison's own folder is made
  Config base;                             // what the strategies share
  std::vector<SweepStrategy> strategies;
  std::string baseline;  // the strategy that the others are compared with
  std::vector<int64_t> seeds;
  std::vector<std::string> scores;  // "fd", "precision" …; the first one decides
  std::optional<double> target;     // of the first score: the time to it is reported
  SweepBudget budget;
};

// Reads a sweep file: a base config, strategies as differences from it, seeds, scores, a budget (`sweep_reference`
// explains the keys). Overrides "key.sub=value" apply to the config of every strategy, last. Throws UserError (usage)
// as load_config does.
Sweep load_sweep(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

// The same from memory: `origin` stands for the file in errors, `base` for the config that the key base names.
Sweep parse_sweep(const std::string& text, const std::string& origin, const Config& base,
                  const std::vector<std::string>& overrides = {});

// A sweep as a file that reads back to the same one, where its base config stands in `base_file` beside it. The budget
// is not in it: it has become part of the configs.
std::string dump_sweep(const Sweep& sweep, const std::string& base_file);

// "0-4" or "0,2,5" as numbers, each once; nothing for other texts.
std::optional<std::vector<int64_t>> parse_sweep_seeds(const std::string& text);

// The keys of a sweep file, for a terminal.
std::string sweep_reference();

}  // namespace sgan
