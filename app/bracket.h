#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "configs/options.h"
#include "data/dataset.h"
#include "lipschitz/network_bound.h"
#include "lipschitz/slope_search.h"

namespace sgan {

struct BracketRequest {
  int64_t points = 512;    // real, generated and interpolated ones, as many of each
  int64_t starts = 16;     // from which steeper points are searched
  int64_t climb = 50;      // steps of that search
  int64_t seed = 0;        // of the points and the search
  std::string layer = {};  // whose singular values are wanted too; empty: none
  int64_t exact_side = 1500;
  int64_t factored_side = 4096;
  int64_t gram_iterations = 0;
  std::function<void(int64_t done, int64_t total)> progress = {};
};

// What is measured: a run's networks at one step, in eval mode. Nothing of them changes.
struct BracketSubject {
  const Config& config;
  const NetworkImpl& discriminator;
  const NetworkImpl& generator;  // raw weights, from which the generated points come
  const Dataset& dataset;
  int64_t step = 0;
};

// Slopes at one kind of points.
struct SlopeGroup {
  std::string name;
  torch::Tensor values;  // ‖∇ₓD‖₂, sorted, float64

  double percentile(double share) const;
  double largest() const { return percentile(1); }
};

// A discriminator's Lipschitz constant, from both sides.
struct Bracket {
  NetworkBound bound;
  std::vector<SlopeGroup> slopes;
  SlopeSearch search;
  double steepest = 0;  // at the steepest points met, slope off the kinks or difference quotient: the lower bound
  double slope_seconds = 0;
  std::vector<std::pair<std::string, torch::Tensor>> spectrum;  // of the chosen layer's reshaped weight

  double lower() const { return steepest; }
  double seconds() const { return bound.seconds + slope_seconds; }
};

// On the CPU, in float64, with the float32 weights the discriminator computes with. Errors: UserError for an unknown
// layer or weights that are not finite.
Bracket measure_bracket(const BracketSubject& subject, const BracketRequest& request);

// The contract of lipschitz/step-*.json. checkpoint: the name of the file it was measured on.
nlohmann::ordered_json to_json(const Bracket& bracket, const BracketSubject& subject, const std::string& checkpoint,
                               const BracketRequest& request);

// Writes lipschitz/step-00001000.json and .html into the run folder; returns their path without ending.
std::filesystem::path write_bracket(const std::filesystem::path& run, int64_t step, const nlohmann::ordered_json& json);

}  // namespace sgan
