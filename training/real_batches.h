#pragma once

#include <cstdint>
#include <future>
#include <optional>

#include "configs/options.h"
#include "data/batch_order.h"
#include "data/dataset.h"
#include "training/batch_part.h"

namespace sgan {

// The real samples of every discriminator update, on the device that trains: which ones, and which of them mirrored,
// depends on the seed and the update's number alone.
//
// On a GPU the data set stays there, as bytes, where half of the free memory takes it, and nothing is copied in the
// loop. Where it does not, another thread gathers the next batch into pinned memory while this one trains, and its copy
// does not block. A data set that is streamed stays nowhere: another thread reads the next batch from its file while
// this one trains, on a CPU too. Not for use by several threads at once.
class RealBatches {
 public:
  enum class Place { automatic, device, host };

  // dataset: must outlive this. part: of every batch. Errors: UserError if a batch is larger than the data.
  RealBatches(const Config& config, const Dataset& dataset, torch::Device device, Place place = Place::automatic,
              BatchPart part = {});

  // (N, C, H, W) in [-1, 1] or (N, 2), N being train.batch over the number of parts. Fastest for updates in order.
  // Throws UserError if the file of streamed data cannot be read.
  torch::Tensor at(int64_t update);

  bool on_device() const { return resident_.has_value(); }

 private:
  torch::Tensor indices(int64_t update) { return part_.of(order_.indices(update)); }
  torch::Tensor indices_on_device(int64_t update);
  torch::Tensor flips(int64_t update, torch::Device device) const;
  torch::Tensor gather(const torch::Tensor& indices) const;

  const Config& config_;
  const Dataset& dataset_;
  torch::Device device_;
  BatchPart part_;
  BatchOrder order_;
  std::optional<Dataset> resident_;  // the data on the GPU
  int64_t block_ = -1;               // of updates whose indices are on the GPU
  torch::Tensor block_indices_;      // (updates, batch)
  int64_t prefetched_ = -1;          // update whose batch is being gathered
  std::future<torch::Tensor> prefetch_;
};

}  // namespace sgan
