#include "app/step_bench.h"

#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>

#include "app/graph_capture.h"
#include "data/dataset.h"
#include "models/latent.h"
#include "models/winograd_convolution.h"
#include "run/random_streams.h"
#include "training/captured_step.h"
#include "training/probe.h"
#include "training/real_batches.h"
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

  double multiply_adds() const {
    const auto passes = forward + by_input + by_weight + 2 * by_both;
    return static_cast<double>(passes * input.size(0) * geometry.multiply_adds());
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

LayerWork work_of(const WeightedLayerImpl& layer, const torch::Tensor& weight, int64_t batch) {
  const auto& geometry = layer.geometry();
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
  RealBatches real;
  std::vector<LayerWork> layers;  // made when first asked for

  Parts(const Config& given, const std::vector<int64_t>& shape, torch::Device where)
      : config(given),
        device(where),
        data(random_images(shape)),
        state(initial_state(config, shape, device)),
        recorder(make_graph_recorder(config.execution, device)),
        step(make_step()),
        real(config, data, device) {}

  std::unique_ptr<AdversarialStep> make_step() {
    if (recorder == nullptr) return std::make_unique<AdversarialStep>(state, config);
    return std::make_unique<CapturedStep>(state, config, *recorder,
                                          [this](const std::string& why) { fallbacks.push_back(why); });
  }

  int64_t generator_batch() const {
    return config.train.generator_batch > 0 ? config.train.generator_batch : config.train.batch;
  }

  at::Generator random(Stream stream, int64_t number) const {
    const auto seed = stream_seed(static_cast<uint64_t>(config.seed), stream, static_cast<uint64_t>(number));
    return make_generator(seed, device);
  }

  torch::Tensor latents(Stream stream, int64_t number, int64_t count) const {
    return draw_latents(config.generator, count, random(stream, number), device);
  }

  torch::Tensor update_discriminator() {
    const auto update = state.discriminator_updates;
    DiscriminatorBatch batch{real.at(update), latents(Stream::latent_d, update, config.train.batch), {}};
    const auto noise = random(Stream::penalty, update);
    for (size_t i = 0; i < config.penalties.size(); ++i) {
      const auto draw = penalty(config.penalties[i].kind).draw_noise;
      batch.penalty_noise.push_back(step->is_penalty_due(i, update) ? draw(batch.real, noise) : torch::Tensor());
    }
    step->update_discriminator(batch, 1.0, false);
    return batch.real;
  }

  const std::vector<LayerWork>& layer_work() {
    if (!layers.empty()) return layers;
    torch::NoGradGuard no_grad;
    const auto critic_steps = config.train.critic_steps;
    const auto d_weights = state.discriminator->frozen_weights();
    const auto g_weights = state.generator->frozen_weights();
    for (const auto& [name, layer] : state.discriminator->layers()) {
      auto of_d = work_of(*layer, d_weights.of(*layer), 2 * config.train.batch);
      of_d.forward = critic_steps;
      // The images themselves need no gradient in the discriminator's step.
      (layers.empty() ? of_d.by_weight : of_d.by_both) = critic_steps;
      auto of_g = work_of(*layer, d_weights.of(*layer), generator_batch());
      of_g.forward = 1;
      of_g.by_input = 1;
      layers.push_back(std::move(of_d));
      layers.push_back(std::move(of_g));
    }
    bool first = true;
    for (const auto& [name, layer] : state.generator->layers()) {
      auto of_d = work_of(*layer, g_weights.of(*layer), config.train.batch);
      of_d.forward = critic_steps;
      auto of_g = work_of(*layer, g_weights.of(*layer), generator_batch());
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
    const auto latents = parts.latents(Stream::latent_g, parts.state.step, parts.generator_batch());
    parts.step->update_generator(latents, real, 1.0, false);
  });
  return measured;
}

double BenchedStep::measure_convolutions(Algorithm algorithm) {
  torch::NoGradGuard no_grad;
  const auto& layers = parts_->layer_work();
  return time_ms(parts_->device, [&] {
    for (const auto& layer : layers) layer.run(algorithm);
  });
}

double BenchedStep::measure_parametrizations() {
  auto& discriminator = *parts_->state.discriminator;
  const auto parameters = discriminator.parameters();
  std::vector<torch::Tensor> gradients;
  {
    const auto weights = discriminator.frozen_weights();
    for (const auto& [name, layer] : discriminator.layers()) gradients.push_back(torch::ones_like(weights.of(*layer)));
  }
  return time_ms(parts_->device, [&] {
    for (int64_t i = 0; i < parts_->config.train.critic_steps; ++i) {
      discriminator.advance_parametrizations();
      const auto weights = discriminator.effective_weights();
      std::vector<torch::Tensor> effective;
      for (const auto& [name, layer] : discriminator.layers()) effective.push_back(weights.of(*layer));
      torch::autograd::grad(effective, parameters, gradients, std::nullopt, false, /*allow_unused=*/true);
    }
    discriminator.frozen_weights();
  });
}

double BenchedStep::measure_probe() {
  auto& parts = *parts_;
  return time_ms(parts.device, [&] {
    const auto real = parts.real.at(0);
    torch::NoGradGuard no_grad;
    const auto fake = parts.state.generator->forward(parts.latents(Stream::probe, 0, real.size(0)), Mode::eval);
    probe_critic(*parts.state.discriminator, parts.config.discriminator.gradient_normalization, real, fake,
                 draw_epsilon(real, parts.random(Stream::probe, 1)));
  });
}

double BenchedStep::multiply_adds() const {
  double sum = 0;
  for (const auto& layer : parts_->layer_work()) sum += layer.multiply_adds();
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
