#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "configs/options.h"
#include "run/run_folder.h"
#include "training/checkpoint.h"

namespace sgan {

// One key of a run's config that is no longer what it was, with its values as a config has them.
struct KeyChange {
  std::string key;
  std::string from;
  std::string to;
};

// How `wanted` differs from the config that a run was trained with so far, in keys that make another run.
std::vector<KeyChange> run_changes(const Config& trained, const Config& wanted);

// Those that run.json does not have for this step: of a run that was overridden there and killed before its next
// checkpoint, all are known.
std::vector<KeyChange> unrecorded(const RunFolder& folder, int64_t step, std::vector<KeyChange> changes);

// "optimizer.generator.lr 0.0002 -> 0.0001, loss hinge -> wgan"
std::string change_text(const std::vector<KeyChange>& changes);

// Throws UserError (usage) where a change may not be made in the middle of a run, whatever its tensors.
void check_may_change(const RunFolder& folder, const std::vector<KeyChange>& changes);

// Makes `config` the run's from `step` on: in config.yaml, in run.json's list "overrides" and in log.txt.
void record_override(RunFolder& folder, const Config& config, int64_t step, const std::vector<KeyChange>& changes);

}  // namespace sgan
