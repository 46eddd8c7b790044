#pragma once

#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "configs/findings.h"
#include "configs/options.h"
#include "data/dataset.h"

// What `doctor` looks at, part by part. Nothing here trains, and nothing stays on disk.

namespace sgan {

// One thing that was looked at.
struct Check {
  std::string name;
  std::optional<Severity> severity;  // none: all is well
  std::string text;                  // what was found
  std::string why;                   // with source and change: of what is not well; may be empty
  std::string source;
  std::string change;
  nlohmann::ordered_json facts;  // the text's numbers, for programs; may be null
};
using Checks = std::vector<Check>;

Check to_check(const Finding& finding);

// Program, processor, threads, memory and CUDA; and the folders that the config's runs write to.
Checks check_machine(const Config& config);

// Bytes that this process can still take, by the machine's memory and the limit of its control group.
int64_t available_memory();
// Bytes free where `folder` is, or where it would be made.
int64_t free_space(const std::string& folder);

// Loads the config's data and looks at them.
struct CheckedData {
  Checks checks;
  std::optional<Dataset> dataset;  // where they can be loaded
};
CheckedData check_data(const Config& config);

// What the networks of the config and a run of it need, and, with `trial`, what a few updates on the data show: of
// losses, gradients and time. The networks are the config's own at their first step, and are thrown away.
Checks check_run(const Config& config, const Dataset& dataset, torch::Device device, bool trial);

// "1.5 GiB", "312 MiB".
std::string bytes_text(int64_t bytes);

}  // namespace sgan
