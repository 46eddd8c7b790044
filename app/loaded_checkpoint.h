#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "training/checkpoint.h"

namespace sgan {

// A checkpoint with the config it was trained by, from a run folder or from a file alone.
struct LoadedCheckpoint {
  Checkpoint checkpoint;
  Config config;
  std::filesystem::path run;  // empty where a bare checkpoint file was given

  int64_t step() const { return checkpoint.record.step; }
};

// run: a run folder or a checkpoint file. step: which checkpoint of the folder, the last if absent. Sets the number of
// threads that the config asks for. Errors: UserError.
LoadedCheckpoint load_checkpoint(const std::filesystem::path& run, std::optional<int64_t> step);

// Refuses a step where one file was given in place of a run folder. Errors: UserError.
void check_one_file(const std::filesystem::path& file, std::optional<int64_t> step);

}  // namespace sgan
