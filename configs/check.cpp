#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "configs/error.h"
#include "configs/loader.h"
#include "configs/strategy.h"

namespace sgan {
namespace {

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw UserError(fmt::format(text, std::forward<Args>(args)...), UserError::Kind::usage);
}

void check_norm(const char* network, NetworkKind kind, NormKind norm) {
  if (kind != NetworkKind::mlp || norm != NormKind::instance) return;
  fail(
      "{0}.norm is instance, which averages over the positions of an image, but {0}.kind mlp has none; set {0}.norm to "
      "layer, rms or none.",
      network);
}

// What takes the discriminator's gradient at each sample.
void check_slope(const Config& config) {
  const NormKind norm = config.discriminator.norm;
  const bool gradient_normalization = config.discriminator.gradient_normalization;
  const auto on_gradient = std::ranges::find_if(
      config.penalties, [](const PenaltyOptions& penalty) { return !is_on_weights(penalty.kind); });
  const bool has_penalty = on_gradient != config.penalties.end();
  // Statistics of the batch make D(x) depend on all of it (Gulrajani et al. 2017, section 4).
  if (norm == NormKind::batch || norm == NormKind::mean_only_batch) {
    if (has_penalty) {
      fail(
          "discriminator.norm is {}, but penalties has {}: this penalty is on each sample's own gradient, which batch "
          "normalization mixes with the other samples' (Gulrajani et al. 2017, section 4); set discriminator.norm to "
          "layer or none, or take it out.",
          name_of(norm), name_of(on_gradient->kind));
    }
    if (gradient_normalization) {
      fail(
          "discriminator.norm is {}, but discriminator.gradient_normalization is true: it divides by each sample's own "
          "gradient, which batch normalization mixes with the other samples'; set discriminator.norm to layer or "
          "none.",
          name_of(norm));
    }
  }
  if (gradient_normalization && has_penalty) {
    fail(
        "discriminator.gradient_normalization is true, but penalties has {}: the normalized output's gradient holds "
        "second derivatives, so training on it would take third ones; set "
        "discriminator.gradient_normalization to false, or take the penalty out.",
        name_of(on_gradient->kind));
  }
}

}  // namespace

void check_config(const Config& config) {
  const DataOptions& data = config.data;
  const auto check_network = [&](const char* key, NetworkKind kind) {
    if (is_planar(data.kind) && kind != NetworkKind::mlp) {
      fail(
          "{} is {}, but data.kind {} has points in the plane, no images; set {}=mlp, or data.kind to digits, "
          "folder or another kind of images.",
          key, name_of(kind), name_of(data.kind), key);
    }
  };
  check_network("generator.kind", config.generator.kind);
  check_network("discriminator.kind", config.discriminator.kind);
  if (reads_files(data.kind) && data.path.empty()) {
    fail("data.kind is {}, but data.path is empty; set data.path to where the images are.", name_of(data.kind));
  }
  if (data.size > 0 && data.size < 8) fail("data.size: got {}, allowed: 0 or 8 to 256.", data.size);
  if (data.channels == 2) fail("data.channels: got 2, allowed: 0, 1 or 3.");

  check_norm("generator", config.generator.kind, config.generator.norm);
  check_norm("discriminator", config.discriminator.kind, config.discriminator.norm);
  check_slope(config);
  if (config.sample.weights == SampleWeights::ema && config.ema.decay == 0) {
    fail("sample.weights is ema, but ema.decay is 0: no averaged weights are kept; set sample.weights to auto or raw.");
  }
  if (config.constraint.kind == ConstraintKind::clip && config.discriminator.weight == WeightKind::weight_norm) {
    fail(
        "constraint.kind is clip, but discriminator.weight is weight_norm, whose direction and gain clipping would "
        "cut, not the weight; set discriminator.weight=none or constraint.kind=none.");
  }
  for (const auto& [key, bits] : {std::pair{"quantizer.bits", config.quantizer.bits},
                                  {"quantizer.first_last_bits", config.quantizer.first_last_bits},
                                  {"quantizer.activation_bits", config.quantizer.activation_bits}}) {
    if (bits == 1) fail("{}: got 1, allowed: 0 or 2 to 8.", key);
  }
  const bool scaled =
      config.discriminator.quantizer == QuantizerKind::wnq || config.discriminator.quantizer == QuantizerKind::dorefa;
  if (config.constraint.kind == ConstraintKind::clip && scaled && config.quantizer.scale == QuantizerScale::fixed) {
    fail(
        "constraint.kind is clip, but discriminator.quantizer is {} with quantizer.scale fixed: what the weights are "
        "clipped to is divided out again; set quantizer.scale=fitted or constraint.kind=none.",
        name_of(config.discriminator.quantizer));
  }
  if (config.quantizer.activation_bits > 0 && config.generator.quantizer == QuantizerKind::none) {
    fail(
        "quantizer.activation_bits is {}, but generator.quantizer is none, and only a quantized generator's "
        "activations are rounded; set generator.quantizer to dorefa, twn or wnq (a reconstruction of Cai & Li 2019), "
        "or "
        "quantizer.activation_bits=0.",
        config.quantizer.activation_bits);
  }
  const TrainOptions& train = config.train;
  if (config.loss == LossKind::relativistic && train.generator_batch != 0 && train.generator_batch != train.batch) {
    fail(
        "loss is relativistic, which pairs generated samples with real ones, but train.generator_batch is {} and "
        "train.batch {}; set train.generator_batch to 0.",
        train.generator_batch, train.batch);
  }
  if (config.schedule.kind == ScheduleKind::linear && train.seconds > 0) {
    fail(
        "schedule.kind is linear, which falls to 0 at step train.steps, but train.seconds may end the run before; set "
        "schedule.kind=constant or train.seconds=0.");
  }
  if (config.schedule.kind == ScheduleKind::linear && config.schedule.start >= train.steps) {
    fail("schedule.start is {}, but train.steps is {}: the learning rates would never fall; set schedule.start lower.",
         config.schedule.start, train.steps);
  }
}

}  // namespace sgan
