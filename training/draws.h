#pragma once

#include <torch/types.h>

#include "data/dataset.h"
#include "run/random_streams.h"
#include "training/real_batches.h"
#include "training/step.h"

namespace sgan {

// Every number a run draws, as a function of what it is for and the update's number: batches of real data, latents, the
// noise of penalties. Whoever draws again gets the same. Where several processes train, each draws for the whole batch
// and takes its part, so that together they see what one would.
class Draws {
 public:
  // config, dataset: must outlive this.
  Draws(const Config& config, const Dataset& dataset, torch::Device device,
        RealBatches::Place place = RealBatches::Place::automatic, BatchPart part = {});

  at::Generator generator(Stream stream, int64_t number) const;
  torch::Tensor latent(Stream stream, int64_t number, int64_t count) const;  // (count, latent), whole
  torch::Tensor real(int64_t update);                                        // of a discriminator update
  DiscriminatorBatch discriminator_batch(int64_t update, const AdversarialStep& step);
  torch::Tensor generator_latent(int64_t step) const;  // of the generator's update

 private:
  const Config& config_;
  torch::Device device_;
  BatchPart part_;
  RealBatches real_;
};

}  // namespace sgan
