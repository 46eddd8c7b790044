#include "app/step_bench.h"

#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <numeric>
#include <optional>

#include "app/graph_capture.h"
#include "data/dataset.h"
#include "models/winograd_convolution.h"
#include "training/captured_step.h"
#include "training/draws.h"
#include "training/probe.h"
#include "training/schedule.h"

namespace sgan {
namespace {

constexpr int64_t kImages = 2048;

template <class Work>
double time_ms(torch::Device device, const Work& work) {
  using Clock = std::chrono::steady_clock;
  const auto wait = [&] {
    if (!device.is_cpu()) at::accelerator::synchronizeDevice(device.index());
  };
  wait();
  const auto start = Clock::now();
  work();
  wait();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Dataset random_images(const std::vector<int64_t>& shape) {
  const auto generator = make_generator(uint64_t{0}, torch::kCPU);
  Dataset data;
  data.description = "random images";
  std::vector<int64_t> sizes{kImages};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  data.samples = shape.size() == 1 ? torch::randn(sizes, generator)
                                   : torch::randint(0, 256, sizes, generator, torch::TensorOptions(torch::kUInt8));
  return data;
}

using Algorithm = BenchedStep::Algorithm;

// One layer's input, weight and output gradient, and how often a step needs which of its products.
struct LayerWork {
  OperatorGeometry geometry;
  torch::Tensor input;
  torch::Tensor weight;
  torch::Tensor output_gradient;
  int64_t forward = 0;
  int64_t by_input = 0;
  int64_t by_weight = 0;
  int64_t by_both = 0;

  // As the layer's sum is written, and as `own` computes it.
  double multiply_adds() const {
    const auto passes = forward + by_input + by_weight + 2 * by_both;
    return static_cast<double>(passes * input.size(0) * geometry.multiply_adds());
  }
  double own_multiply_adds() const {
    return multiply_adds() * (has_winograd() ? winograd_product_share(geometry.kernel) : 1);
  }

  bool transposed() const { return geometry.kind == OperatorKind::conv_transpose; }
  bool has_winograd() const {
    return geometry.kind != OperatorKind::linear &&
           winograd_applies(input, weight, geometry.stride, geometry.padding, transposed());
  }

  torch::Tensor apply(Algorithm algorithm) const {
    if (geometry.kind == OperatorKind::linear) return torch::linear(input, weight);
    if (algorithm == Algorithm::own && has_winograd()) return winograd_convolution(input, weight, {}, transposed());
    return transposed() ? torch::conv_transpose2d(input, weight, {}, geometry.stride, geometry.padding)
                        : torch::conv2d(input, weight, {}, geometry.stride, geometry.padding);
  }

  void differentiate(bool input_too, bool weight_too, Algorithm algorithm) const {
    if (geometry.kind == OperatorKind::linear) {
      if (input_too) torch::mm(output_gradient, weight);
      if (weight_too) torch::mm(output_gradient.t(), input);
    } else if (algorithm == Algorithm::own && has_winograd()) {
      if (input_too) winograd_input_gradient(output_gradient, weight, transposed());
      if (weight_too) winograd_weight_gradient(input, output_gradient, geometry.kernel, transposed());
    } else {
      at::convolution_backward(output_gradient, input, weight, at::OptionalIntArrayRef(),
                               {geometry.stride, geometry.stride}, {geometry.padding, geometry.padding}, {1, 1},
                               transposed(), {0, 0}, 1, {input_too, weight_too, false});
    }
  }

  void run(Algorithm algorithm) const {
    for (int64_t i = 0; i < forward; ++i) apply(algorithm);
    for (int64_t i = 0; i < by_input; ++i) differentiate(true, false, algorithm);
    for (int64_t i = 0; i < by_weight; ++i) differentiate(false, true, algorithm);
    for (int64_t i = 0; i < by_both; ++i) differentiate(true, true, algorithm);
  }
};

LayerWork work_of(const WeightedLayerImpl& layer, const torch::Tensor& float_weight, int64_t batch,
                  Precision precision) {
  const auto& geometry = layer.geometry();
  // As autocast has it, which leaves a critic's last layer alone.
  const bool half = precision == Precision::bf16 && geometry.out_channels > 1;
  const auto weight = half ? float_weight.to(torch::kBFloat16) : float_weight;
  LayerWork work{.geometry = geometry, .input = {}, .weight = weight, .output_gradient = {}};
  const bool linear = geometry.kind == OperatorKind::linear;
  const auto shape = linear ? std::vector<int64_t>{batch, geometry.in_channels}
                            : std::vector<int64_t>{batch, geometry.in_channels, geometry.in_size, geometry.in_size};
  const auto layout = linear ? torch::MemoryFormat::Contiguous : weight.suggest_memory_format();
  work.input = torch::randn(shape, weight.options()).contiguous(layout);
  work.output_gradient = torch::randn_like(work.apply(Algorithm::libtorch));
  return work;
}

}  // namespace

double Times::median() const {
  auto sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const auto middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted.at(middle) : (sorted.at(middle - 1) + sorted.at(middle)) / 2;
}

double Times::min() const {
  return *std::min_element(values.begin(), values.end());
}

double Times::mean() const {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Times ratios(const Times& a, const Times& b) {
  Times result;
  for (size_t i = 0; i < std::min(a.values.size(), b.values.size()); ++i) {
    result.values.push_back(a.values[i] / b.values[i]);
  }
  return result;
}

struct BenchedStep::Parts {
  Config config;
  torch::Device device;
  Dataset data;
  TrainingState state;
  std::unique_ptr<GraphRecorder> recorder;
  std::vector<std::string> fallbacks;
  std::unique_ptr<AdversarialStep> step;
  Draws draws;
  std::vector<LayerWork> layers;  // made when first asked for
  struct Capture {
    std::function<void()> work;
    std::unique_ptr<CapturedWork> replayable;  // none where it was refused
  };
  std::map<std::string, Capture> captured;

  Parts(const Config& given, const std::vector<int64_t>& shape, torch::Device where)
      : config(given),
        device(where),
        data(random_images(shape)),
        state(initial_state(config, shape, device)),
        recorder(make_graph_recorder(config.execution, device)),
        step(make_step()),
        draws(config, data, device) {}

  std::unique_ptr<AdversarialStep> make_step() {
    if (recorder == nullptr) return std::make_unique<AdversarialStep>(state, config);
    return std::make_unique<CapturedStep>(state, config, *recorder,
                                          [this](const std::string& why) { fallbacks.push_back(why); });
  }

  torch::Tensor update_discriminator() {
    const auto batch = draws.discriminator_batch(state.discriminator_updates, *step);
    step->update_discriminator(batch, 1.0, false);
    return batch.real;
  }

  // Does the work, by a replay of its capture where the updates are captured; its name stands for it.
  void run(const std::string& name, const std::function<void()>& work) {
    if (recorder == nullptr) return work();
    if (!captured.contains(name)) {
      auto& capture = captured[name];
      capture.work = work;
      try {
        recorder->rehearse(capture.work);
        capture.replayable = recorder->capture(capture.work);
      } catch (const std::exception& error) {
        fallbacks.push_back(fmt::format("the {} alone cannot be captured: {}", name, error.what()));
      }
    }
    const auto& capture = captured.at(name);
    capture.replayable ? capture.replayable->replay() : capture.work();
  }

  const std::vector<LayerWork>& layer_work() {
    if (!layers.empty()) return layers;
    torch::NoGradGuard no_grad;
    const auto g_precision = config.precision;
    const auto d_precision = config.discriminator.gradient_normalization ? Precision::fp32 : g_precision;
    const auto critic_steps = config.train.critic_steps;
    const auto d_weights = state.discriminator->frozen_weights();
    const auto g_weights = state.generator->frozen_weights();
    for (const auto& [name, layer] : state.discriminator->layers()) {
      auto of_d = work_of(*layer, d_weights.of(*layer), 2 * config.train.batch, d_precision);
      of_d.forward = critic_steps;
      // The images themselves need no gradient in the discriminator's step.
      (layers.empty() ? of_d.by_weight : of_d.by_both) = critic_steps;
      auto of_g = work_of(*layer, d_weights.of(*layer), generator_batch(config.train), d_precision);
      of_g.forward = 1;
      of_g.by_input = 1;
      layers.push_back(std::move(of_d));
      layers.push_back(std::move(of_g));
    }
    bool first = true;
    for (const auto& [name, layer] : state.generator->layers()) {
      auto of_d = work_of(*layer, g_weights.of(*layer), config.train.batch, g_precision);
      of_d.forward = critic_steps;
      auto of_g = work_of(*layer, g_weights.of(*layer), generator_batch(config.train), g_precision);
      of_g.forward = 1;
      (first ? of_g.by_weight : of_g.by_both) = 1;
      first = false;
      layers.push_back(std::move(of_d));
      layers.push_back(std::move(of_g));
    }
    return layers;
  }
};

BenchedStep::BenchedStep(const Config& config, const std::vector<int64_t>& sample_shape, torch::Device device)
    : parts_(std::make_unique<Parts>(config, sample_shape, device)) {}

BenchedStep::~BenchedStep() = default;

bool BenchedStep::captures() const {
  return parts_->recorder != nullptr;
}

const std::vector<std::string>& BenchedStep::fallbacks() const {
  return parts_->fallbacks;
}

BenchedStep::Measured BenchedStep::measure() {
  auto& parts = *parts_;
  torch::Tensor real;
  Measured measured;
  measured.discriminator = time_ms(parts.device, [&] {
    for (int64_t i = 0; i < parts.config.train.critic_steps; ++i) real = parts.update_discriminator();
  });
  measured.generator = time_ms(parts.device, [&] {
    parts.step->update_generator(parts.draws.generator_latent(parts.state.step), real, 1.0, false);
  });
  return measured;
}

double BenchedStep::measure_convolutions(Algorithm algorithm) {
  torch::NoGradGuard no_grad;
  auto& parts = *parts_;
  parts.layer_work();
  const auto work = [&parts, algorithm] {
    for (const auto& layer : parts.layers) layer.run(algorithm);
  };
  const std::string name = algorithm == Algorithm::own ? "convolutions" : "LibTorch's convolutions";
  return time_ms(parts.device, [&] { parts.run(name, work); });
}

double BenchedStep::measure_parametrizations() {
  auto& parts = *parts_;
  auto& discriminator = *parts.state.discriminator;
  const auto parameters = discriminator.parameters();
  std::vector<torch::Tensor> gradients;
  {
    const auto weights = discriminator.frozen_weights();
    for (const auto& [name, layer] : discriminator.layers()) gradients.push_back(torch::ones_like(weights.of(*layer)));
  }
  const auto work = [&parts, &discriminator, parameters, gradients] {
    for (int64_t i = 0; i < parts.config.train.critic_steps; ++i) {
      discriminator.advance_parametrizations();
      const auto weights = discriminator.effective_weights();
      std::vector<torch::Tensor> effective;
      for (const auto& [name, layer] : discriminator.layers()) effective.push_back(weights.of(*layer));
      torch::autograd::grad(effective, parameters, gradients, std::nullopt, false, /*allow_unused=*/true);
    }
    discriminator.frozen_weights();
  };
  return time_ms(parts.device, [&] { parts.run("parametrizations", work); });
}

double BenchedStep::measure_probe() {
  auto& parts = *parts_;
  return time_ms(parts.device, [&] {
    const auto real = parts.draws.real(0);
    torch::NoGradGuard no_grad;
    const auto latents = parts.draws.latent(Stream::probe, 0, real.size(0));
    const auto fake = parts.state.generator->forward(latents, Mode::eval);
    probe_critic(*parts.state.discriminator, parts.config.discriminator.gradient_normalization, real, fake,
                 draw_epsilon(real, parts.draws.generator(Stream::probe, 1)));
  });
}

double BenchedStep::multiply_adds() const {
  double sum = 0;
  for (const auto& layer : parts_->layer_work()) sum += layer.multiply_adds();
  return sum;
}

double BenchedStep::own_multiply_adds() const {
  double sum = 0;
  for (const auto& layer : parts_->layer_work()) sum += layer.own_multiply_adds();
  return sum;
}

double product_rate(torch::Device device) {
  torch::NoGradGuard no_grad;
  constexpr int64_t kSide = 2048;
  constexpr int kRepeats = 5;
  const auto a = torch::randn({kSide, kSide}, device);
  const auto b = torch::randn({kSide, kSide}, device);
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    const double ms = time_ms(device, [&] { torch::mm(a, b); });
    best = std::max(best, static_cast<double>(kSide * kSide * kSide) / ms / 1e6);
  }
  return best;
}

std::vector<Variant> strategy_variants(const Config& config) {
  Config plain = config;
  plain.discriminator.weight = WeightKind::none;
  plain.discriminator.gradient_normalization = false;
  plain.penalties.clear();
  plain.constraint.kind = ConstraintKind::none;

  std::vector<Variant> variants{{"none", plain}};
  const auto add = [&](std::string name, const auto& change) {
    variants.push_back({std::move(name), plain});
    change(variants.back().config);
  };
  for (const auto& [kind, name] : Names<WeightKind>::table) {
    if (kind == WeightKind::none) continue;
    add(std::string(name), [kind = kind](Config& changed) { changed.discriminator.weight = kind; });
  }
  add("clip", [](Config& changed) { changed.constraint.kind = ConstraintKind::clip; });
  add("gp", [](Config& changed) { changed.penalties = {PenaltyOptions{}}; });
  add("gn", [](Config& changed) { changed.discriminator.gradient_normalization = true; });
  return variants;
}

}  // namespace sgan
