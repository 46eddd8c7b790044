#include "app/loaded_generator.h"

#include <fmt/format.h>
#include <torch/utils.h>

#include "app/loaded_checkpoint.h"
#include "app/session.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "exchange/packed_network.h"
#include "models/factory.h"

namespace sgan {
namespace {

LoadedGenerator load_packed_generator(const std::filesystem::path& path, std::optional<int64_t> step,
                                      const std::string& weights) {
  check_one_file(path, step);
  const auto packed = load_packed(path);
  const auto& record = packed.record;
  if (record.network != "generator") {
    throw UserError(
        fmt::format("{} holds a discriminator, which makes no samples. Give a generator's file.", path.string()),
        UserError::Kind::usage);
  }
  const std::string held = record.averaged ? "ema" : "raw";
  if (weights != "auto" && weights != held) {
    throw UserError(fmt::format("{} holds {} weights alone, and --weights says {}; leave it out.", path.string(),
                                record.averaged ? "averaged (ema)" : "raw", weights),
                    UserError::Kind::usage);
  }
  LoadedGenerator loaded;
  loaded.config = parse_resolved_config(record.config, path.string() + " (config)");
  set_threads(loaded.config.threads);
  loaded.network = unpack(packed, loaded.config);
  loaded.checkpoint = path;
  loaded.step = record.step;
  loaded.averaged = record.averaged;
  loaded.data = record.data;
  loaded.sample_shape = record.sample_shape;
  return loaded;
}

}  // namespace

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
  if (is_packed(run)) return load_packed_generator(run, step, weights);
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
