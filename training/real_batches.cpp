#include "training/real_batches.h"

#include <ATen/DeviceAccelerator.h>
#include <torch/utils.h>

#include <utility>

#include "data/sample_file.h"
#include "run/random_streams.h"

namespace sgan {
namespace {

constexpr int64_t kUpdatesInBlock = 1024;

uint64_t seed_of(const Config& config, Stream stream, int64_t index) {
  return stream_seed(static_cast<uint64_t>(config.seed), stream, static_cast<uint64_t>(index));
}

bool fits(const Dataset& dataset, torch::Device device) {
  const auto free_memory = at::accelerator::getMemoryInfo(device.index()).first;
  return dataset.samples.nbytes() <= free_memory / 2;
}

}  // namespace

RealBatches::RealBatches(const Config& config, const Dataset& dataset, torch::Device device, Place place,
                         BatchPart part)
    : config_(config),
      dataset_(dataset),
      device_(device),
      part_(part),
      order_(dataset.size(), config.train.batch, seed_of(config, Stream::order, 0)) {
  const bool may_stay = !device.is_cpu() && !dataset.file;
  if (place == Place::device || (place == Place::automatic && may_stay && fits(dataset, device))) {
    resident_ = dataset;
    resident_->samples = dataset.samples.to(device);
  }
}

torch::Tensor RealBatches::at(int64_t update) {
  if (resident_) {
    const auto batch = resident_->samples.index_select(0, indices_on_device(update));
    return as_network_input(batch, flips(update, device_));
  }
  if (device_.is_cpu() && !dataset_.file) {
    return deliver(dataset_, indices(update), flips(update, torch::kCPU), torch::kCPU);
  }
  const bool prefetched = std::exchange(prefetched_, -1) == update;  // none any more, should get() throw
  const auto batch = prefetched ? prefetch_.get() : gather(indices(update));
  prefetched_ = update + 1;
  prefetch_ = std::async(std::launch::async, [this, next = indices(update + 1)] { return gather(next); });
  return as_network_input(batch.to(device_, /*non_blocking=*/true), flips(update, device_));
}

torch::Tensor RealBatches::indices_on_device(int64_t update) {
  const auto block = update / kUpdatesInBlock;
  if (block != block_) {
    std::vector<torch::Tensor> updates;
    for (int64_t i = 0; i < kUpdatesInBlock; ++i) updates.push_back(indices(block * kUpdatesInBlock + i));
    block_indices_ = torch::stack(updates).to(device_);
    block_ = block;
  }
  return block_indices_[update % kUpdatesInBlock];
}

torch::Tensor RealBatches::flips(int64_t update, torch::Device device) const {
  if (!config_.data.flip) return {};
  auto coin = make_generator(seed_of(config_, Stream::augment, update), device);
  return part_.of(torch::rand({config_.train.batch}, coin, device) < 0.5);
}

torch::Tensor RealBatches::gather(const torch::Tensor& indices) const {
  return stored_samples(dataset_, indices, /*pinned=*/!device_.is_cpu());
}

}  // namespace sgan
