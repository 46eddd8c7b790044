#include "training/checkpoint_writer.h"

#include <utility>

namespace sgan {

CheckpointWriter::~CheckpointWriter() {
  if (pending_.valid()) pending_.wait();
}

void CheckpointWriter::save(const std::filesystem::path& path, const TrainingState& state, CheckpointRecord record,
                            std::function<void()> then) {
  auto file = checkpoint_file(state, std::move(record));
  for (auto& [name, tensor] : file.tensors) tensor = tensor.to(torch::kCPU, tensor.scalar_type(), false, /*copy=*/true);
  finish();
  pending_ = std::async(std::launch::async, [path, file = std::move(file), then = std::move(then)] {
    save_tensors(path, file);
    then();
  });
}

void CheckpointWriter::finish() {
  if (pending_.valid()) pending_.get();
}

}  // namespace sgan
