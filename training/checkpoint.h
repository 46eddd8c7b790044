#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "run/tensor_file.h"
#include "training/state.h"

namespace sgan {

// What a checkpoint says besides its tensors.
struct CheckpointRecord {
  int64_t step = 0;
  int64_t discriminator_updates = 0;
  int64_t metrics_lines = 0;               // of metrics.jsonl at that moment: a resume drops what was logged later
  std::vector<int64_t> sample_shape = {};  // what the networks make and judge: (C, H, W) or (2)
  bool averaged = false;                   // holds averaged generator weights too
  std::string data = {};                   // fingerprint() of the data set it was trained on
  std::string config = {};                 // the resolved config, so that the file alone can be sampled from
  int64_t train_us = 0;                    // microseconds of updates so far; written only where train.seconds ends runs
  bool last = false;                       // such a run's last step is done
  int64_t other_batches_images = 0;        // as the state has them; written only where train.batch was changed
  int64_t rollbacks = 0;                   // as in the state
  int64_t rollback_from = 0;               // the step at which the run had diverged when it was rolled back last,
  int64_t rollback_to = 0;                 // and the step to which
  double lr_scale = 1;
};

struct Checkpoint {
  std::filesystem::path path;
  CheckpointRecord record;
  std::map<std::string, torch::Tensor> tensors;
};

// Writes the state as one safetensors file, whole or not at all, with a checksum. The same state gives the same bytes.
// record: its metrics_lines, data and config; what the state knows itself is taken from there. Errors: DivergenceError
// where a tensor holds NaN or infinity (nothing is written), UserError where the disk refuses.
void save_checkpoint(const std::filesystem::path& path, const TrainingState& state, CheckpointRecord record);

// The tensors and metadata that such a file holds, the tensors sharing memory with the state. Errors: as above.
TensorFile checkpoint_file(const TrainingState& state, CheckpointRecord record);

// Reads and verifies a checkpoint. Errors: DamagedFileError where the file is damaged or no checkpoint of this program,
// FileError where the system cannot read it, UserError where it is of another format version.
Checkpoint read_checkpoint(const std::filesystem::path& path);

// Fills a state made by initial_state() from the same config. Errors: UserError that lists tensors which are missing,
// unknown or of another shape or type; the state is then as it was.
void restore(const Checkpoint& checkpoint, TrainingState& state);

// Fills a generator with the averaged weights, or with the raw ones if asked for or alone there. Errors as above, but
// the checkpoint may hold more.
void restore_generator(const Checkpoint& checkpoint, NetworkImpl& generator, bool averaged);
void restore_discriminator(const Checkpoint& checkpoint, NetworkImpl& discriminator);

}  // namespace sgan
