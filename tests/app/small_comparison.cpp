#include "tests/app/small_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "run/metrics_log.h"
#include "tests/app/program.h"

namespace sgan {

namespace fs = std::filesystem;

fs::path write_small_sweep(const fs::path& path, int64_t steps, const std::string& more) {
  std::ofstream(path) << fmt::format(
      "name: small\nbase: {}\nset:\n  threads: 1\n"
      "  train: {{steps: {}, batch: 16}}\n"
      "  checkpoint: {{every: 10}}\n  sample: {{every: 20}}\n  log: {{every: 5}}\n"
      "  lipschitz: {{every: 10, bracket: true}}\n"
      "  evaluation: {{every: 20, real: 100, generated: 100, features: none}}\n"
      "strategies:\n  none: {{discriminator: {{weight: none}}}}\n"
      "  spectral: {{discriminator: {{weight: spectral}}}}\n"
      "seeds: [0, 1]\nscores: [swd]\n{}",
      preset("digits/base.yaml"), steps, more);
  return path;
}

std::map<std::string, std::string> results_of(const fs::path& comparison) {
  std::map<std::string, std::string> results;
  for (const auto& cell : kSmallCells) {
    const auto run = comparison / "runs" / cell;
    for (const char* part : {"evaluation", "lipschitz"}) {
      if (!fs::exists(run / part)) continue;
      for (const auto& entry : fs::directory_iterator(run / part)) {
        if (entry.path().extension() != ".json") continue;
        results[cell + "/" + entry.path().filename().string()] = json_without_times(entry.path()).dump();
      }
    }
    for (const auto& line : metrics_without_times(run)) results[cell + "/metrics"] += line + "\n";
    for (const auto& entry : fs::directory_iterator(run / "samples")) {
      results[cell + "/" + entry.path().filename().string()] = bytes_of(entry.path());
    }
    std::vector<fs::path> checkpoints(fs::directory_iterator(run / "checkpoints"), {});
    std::ranges::sort(checkpoints);
    results[cell + "/" + checkpoints.back().filename().string()] = bytes_of(checkpoints.back());
  }
  return results;
}

nlohmann::ordered_json json_without_times(const fs::path& file) {
  auto json = json_of(file);
  json.erase("cost");
  erase_times(json);
  return json;
}

int64_t count_of(const std::string& text, const std::string& part) {
  int64_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace sgan
