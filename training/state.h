#pragma once

#include <memory>

#include "models/factory.h"
#include "training/optimizer.h"

namespace sgan {

// Everything that training changes, and so everything that a checkpoint holds. Random numbers have no state: they are
// derived from the seed and the counters here.
struct TrainingState {
  std::vector<int64_t> sample_shape;  // (C, H, W) or (2)
  Network generator;
  Network discriminator;
  Network generator_ema;  // null where ema.decay is 0
  std::unique_ptr<Optimizer> generator_optimizer;
  std::unique_ptr<Optimizer> discriminator_optimizer;
  torch::Tensor penalty;  // the last one evaluated, weighted: a scalar for the log; undefined without penalties
  // What WeightTails counts since the last log point, (layers, 3) float64; undefined without a quantizer.
  torch::Tensor generator_tails;
  torch::Tensor discriminator_tails;
  int64_t step = 0;                   // generator updates done
  int64_t discriminator_updates = 0;  // discriminator updates done
  int64_t other_batches_images = 0;   // what updates with another train.batch have seen beyond as many with today's
  double train_seconds = 0;           // of updates and batch delivery so far
  int64_t rollbacks = 0;              // how often the run went back to a checkpoint
  double lr_scale = 1;                // on both learning rates since then

  // The generator that grids and scores use unless asked otherwise: averaged weights where there are some.
  NetworkImpl& sampler() const { return generator_ema != nullptr ? *generator_ema : *generator; }
};

// Networks with initial values drawn from config.seed, on `device`, with fresh optimizers.
TrainingState initial_state(const Config& config, const std::vector<int64_t>& sample_shape, torch::Device device);

// True where a network has weight_norm with weight_norm.data_init: initialize_from_data() then comes before training.
bool needs_data_initialization(const Config& config);

// Gives the weight-normalized networks of a fresh initial_state() gains and biases by what they make of a batch: the
// generator of latent (N, latent), the discriminator of real (N, C, H, W) or (N, 2), on the state's device. Averaged
// weights start from the result. Does nothing where none is needed; not for a state that is resumed.
void initialize_from_data(TrainingState& state, const Config& config, const torch::Tensor& real,
                          const torch::Tensor& latent);

// Every tensor of the state under its name in a checkpoint, sharing memory with it: generator.*, discriminator.*,
// generator_ema.*, optimizer.generator.<parameter>.<slot>, optimizer.discriminator.<parameter>.<slot>.
NamedTensors named_tensors(const TrainingState& state);

// Parameters and buffers of a network, each under `prefix` and its state name.
NamedTensors named_tensors(const std::string& prefix, const NetworkImpl& network);

}  // namespace sgan
