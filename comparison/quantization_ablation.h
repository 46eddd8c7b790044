#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sgan {

// A finished run of a comparison with what `quantize` found of its generator.
struct QuantizedCell {
  std::string strategy;
  int64_t seed = 0;
  nlohmann::ordered_json study;                 // quantize.json; null where the run did not finish
  std::vector<nlohmann::ordered_json> metrics;  // metrics.jsonl
  std::string pictures;                         // where the study's pictures lie, below the comparison's folder
};

// What is compared.
struct AblationPlan {
  std::string name;
  std::string baseline;
  std::vector<std::pair<std::string, std::string>> strategies;  // name and changes
  std::vector<int64_t> seeds;
  std::string score;  // as the sweep names it: "fd" or a full name; empty: without scores
};

// Whether training in other ways makes weights that rounding harms less. cells: strategies × seeds, strategy by
// strategy, in the plan's order, else std::invalid_argument. Differences are paired by seed, strategy minus baseline,
// with Student's intervals and Holm's correction over the strategies (and bits) of one table.
// Returns the contract of a comparison's quantization.json: {name, baseline, seeds, strategies, score, lower_is_better,
// protocol, definitions, shapes, gradients, before, arms, trained, histograms, pictures, answers}; `answers` are
// sentences made of these numbers, {question, text}.
// Errors: UserError where no run is finished, and where no score fits the name or several do.
nlohmann::ordered_json quantization_ablation(const AblationPlan& plan, const std::vector<QuantizedCell>& cells);

}  // namespace sgan
