#pragma once

#include <filesystem>
#include <functional>
#include <future>

#include "training/checkpoint.h"

namespace sgan {

// Writes checkpoints while training goes on: the state is copied to CPU memory at once, and another thread digests and
// writes it. One at a time, in order.
class CheckpointWriter {
 public:
  CheckpointWriter() = default;
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;
  // Waits for what is being written; its error, if any, is lost, so call finish() before.
  ~CheckpointWriter();

  // As save_checkpoint, but returns once the state is copied. `then` runs on the other thread when the file is there.
  // Errors: UserError where a tensor holds NaN or infinity, and those of the checkpoint before.
  void save(const std::filesystem::path& path, const TrainingState& state, CheckpointRecord record,
            std::function<void()> then);
  // Returns when everything is on disk. Errors: UserError where it could not be written.
  void finish();

 private:
  std::future<void> pending_;
};

}  // namespace sgan
