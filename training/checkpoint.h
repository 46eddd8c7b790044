#pragma once

#include <filesystem>
#include <string>

#include "training/state.h"

namespace sgan {

// What a checkpoint says besides its tensors.
struct CheckpointRecord {
  int64_t step = 0;
  int64_t discriminator_updates = 0;
  int64_t metrics_lines = 0;  // of metrics.jsonl at that moment: a resume drops what was logged later
  std::vector<int64_t> sample_shape;  // what the networks make and judge: (C, H, W) or (2)
  std::string config;         // the resolved config, so that the file alone can be sampled from
};

// Writes the state as one safetensors file, whole or not at all, with a checksum. The same state gives the same bytes.
// Errors: UserError where a tensor holds NaN or infinity (nothing is written), or where the disk refuses.
void save_checkpoint(const std::filesystem::path& path, const TrainingState& state, int64_t metrics_lines,
                     const std::string& config);

// The record alone. Errors: UserError where the file is no checkpoint of this program.
CheckpointRecord read_checkpoint_record(const std::filesystem::path& path);

// Fills a state made by initial_state() from the same config. Errors: UserError that lists tensors which are missing,
// unknown or of another shape; the state is then as it was.
void load_checkpoint(const std::filesystem::path& path, TrainingState& state);

// Fills the generator that samples are drawn from: its averaged weights, or the raw ones if asked for or alone there.
void load_generator(const std::filesystem::path& path, NetworkImpl& generator, bool averaged);

// True if the checkpoint holds averaged generator weights.
bool has_averaged_weights(const std::filesystem::path& path);

}  // namespace sgan
