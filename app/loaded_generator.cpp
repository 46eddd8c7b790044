#include "app/loaded_generator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include "app/session.h"
#include "configs/error.h"
#include "configs/loader.h"
#include "models/factory.h"
#include "run/run_folder.h"
#include "training/checkpoint.h"

namespace sgan {
namespace {

std::filesystem::path find_checkpoint(const RunFolder& folder, std::optional<int64_t> step) {
  const auto checkpoints = folder.checkpoints();
  if (checkpoints.empty()) {
    throw UserError(
        fmt::format("{} has no checkpoint yet. Wait for the first one (checkpoint.every), or stop the run "
                    "with Ctrl-C, which saves one.",
                    folder.path().string()));
  }
  if (!step) return checkpoints.back().second;
  std::vector<int64_t> steps;
  for (const auto& [number, path] : checkpoints) {
    if (number == *step) return path;
    steps.push_back(number);
  }
  throw UserError(fmt::format("{} has no checkpoint of step {}; there are: {}.", folder.path().string(), *step,
                              fmt::join(steps, ", ")),
                  UserError::Kind::usage);
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
  LoadedGenerator loaded;
  if (std::filesystem::is_regular_file(run)) {
    if (step) {
      throw UserError("--step chooses among a run folder's checkpoints; " + run.string() + " is one file",
                      UserError::Kind::usage);
    }
    loaded.checkpoint = run;
  } else {
    const auto folder = RunFolder::open_read_only(run);
    loaded.run = folder.path();
    loaded.checkpoint = find_checkpoint(folder, step);
  }
  const auto checkpoint = read_checkpoint(loaded.checkpoint);
  const auto& record = checkpoint.record;
  loaded.step = record.step;
  loaded.sample_shape = record.sample_shape;
  loaded.config = parse_resolved_config(record.config, loaded.checkpoint.string() + " (config)");
  if (is_planar(loaded.config.data.kind) != (record.sample_shape.size() == 1)) {
    throw UserError(
        fmt::format("{}: its sample_shape does not fit its data.kind {}. The file was altered; use another.",
                    loaded.checkpoint.string(), name_of(loaded.config.data.kind)));
  }
  if (weights == "ema" && !record.averaged) {
    throw UserError(fmt::format("{} holds no averaged weights: it was trained with ema.decay 0. Use --weights raw.",
                                loaded.checkpoint.string()),
                    UserError::Kind::usage);
  }
  loaded.averaged = record.averaged && weights != "raw";
  set_threads(loaded.config.threads);
  loaded.network = make_generator(loaded.config, loaded.sample_shape);
  restore_generator(checkpoint, *loaded.network, loaded.averaged);
  return loaded;
}

}  // namespace sgan
