#include "app/loaded_generator.h"

#include <fmt/format.h>
#include <torch/utils.h>

#include "app/loaded_checkpoint.h"
#include "configs/error.h"
#include "models/factory.h"

namespace sgan {

torch::Tensor LoadedGenerator::sample(const torch::Tensor& latents) const {
  constexpr int64_t kBatch = 256;
  torch::NoGradGuard no_grad;
  const auto weights = network->frozen_weights();
  std::vector<torch::Tensor> parts;
  for (const auto& part : latents.split(kBatch)) parts.push_back(network->forward(part, weights, Mode::eval));
  return torch::cat(parts);
}

LoadedGenerator load_trained_generator(const std::filesystem::path& run, std::optional<int64_t> step,
                                       const std::string& weights) {
  const auto found = load_checkpoint(run, step);
  const auto& record = found.checkpoint.record;
  LoadedGenerator loaded;
  loaded.config = found.config;
  loaded.checkpoint = found.checkpoint.path;
  loaded.run = found.run;
  loaded.step = record.step;
  loaded.sample_shape = record.sample_shape;
  loaded.data = record.data;
  if (weights == "ema" && !record.averaged) {
    throw UserError(fmt::format("{} holds no averaged weights: it was trained with ema.decay 0. Use --weights raw.",
                                loaded.checkpoint.string()),
                    UserError::Kind::usage);
  }
  const bool raw = weights == "raw" || (weights == "auto" && loaded.config.sample.weights == SampleWeights::raw);
  loaded.averaged = record.averaged && !raw;
  loaded.network = make_generator(loaded.config, loaded.sample_shape);
  restore_generator(found.checkpoint, *loaded.network, loaded.averaged);
  return loaded;
}

}  // namespace sgan
