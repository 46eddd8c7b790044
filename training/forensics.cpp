#include "training/forensics.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <algorithm>

#include "training/divergence.h"
#include "training/draws.h"
#include "training/operation_watch.h"
#include "training/schedule.h"
#include "training/step.h"

namespace sgan {
namespace {

bool is_finite(const torch::Tensor& tensor) {
  return !tensor.is_floating_point() || torch::isfinite(tensor).all().item<bool>();
}

TensorFacts facts_of(const std::string& name, const torch::Tensor& tensor) {
  TensorFacts facts{.name = name, .shape = tensor.sizes().vec()};
  if (tensor.numel() == 0) return facts;
  const auto values = tensor.to(torch::kDouble);
  const auto finite = torch::isfinite(values);
  const auto known = torch::where(finite, values, 0.0);
  facts.norm = known.norm().item<double>();
  facts.largest = known.abs().max().item<double>();
  facts.not_finite = finite.logical_not().sum().item<int64_t>();
  return facts;
}

// Notes what an update computes, and of that the first tensor that is not finite.
class Recorder final : public StepObserver {
 public:
  explicit Recorder(const OperationWatch& operations) : operations_(operations) {}

  void see(const std::string& name, const torch::Tensor& value) override {
    const at::DisableRecordFunctionGuard silence;  // these operations are no part of the update
    tensors.push_back(facts_of(name, value));
    if (!first.empty() || tensors.back().not_finite == 0) return;
    first = name;
    operation = operations_.origin_of(value);
    const bool batch = value.dim() > 0 && (name.find("samples") != name.npos || name == "latents");
    if (batch)
      sample = torch::isfinite(value).reshape({value.size(0), -1}).all(1).logical_not().nonzero()[0].item<int64_t>();
  }

  // What the update left: an optimizer's moments, averaged weights and buffers may be the only ones not finite.
  void see_left(const TrainingState& state) {
    for (const auto& [name, tensor] : named_tensors(state)) {
      const bool seen = std::ranges::find(tensors, "updated " + name, &TensorFacts::name) != tensors.end();
      if (!seen && !is_finite(tensor)) see(name, tensor.detach());
    }
  }

  std::vector<TensorFacts> tensors;
  std::string first;
  std::string operation;
  std::optional<int64_t> sample;

 private:
  const OperationWatch& operations_;
};

// A copy of the state's tensors and counters, to go back to.
class Snapshot {
 public:
  void take(const TrainingState& state) {
    const auto tensors = named_tensors(state);
    if (copies_.empty()) {
      for (const auto& [name, tensor] : tensors) copies_.push_back(tensor.detach().clone());
    } else {
      for (size_t i = 0; i < tensors.size(); ++i) copies_[i].copy_(tensors[i].second.detach());
    }
    step_ = state.step;
    updates_ = state.discriminator_updates;
  }

  void put_back(TrainingState& state) const {
    torch::NoGradGuard no_grad;
    const auto tensors = named_tensors(state);
    for (size_t i = 0; i < tensors.size(); ++i) tensors[i].second.detach().copy_(copies_[i]);
    state.step = step_;
    state.discriminator_updates = updates_;
  }

 private:
  std::vector<torch::Tensor> copies_;
  int64_t step_ = 0;
  int64_t updates_ = 0;
};

}  // namespace

Forensics find_divergence(const Config& config, TrainingState& state, const Dataset& dataset, torch::Device device,
                          int64_t until_step, const std::function<bool(int64_t step)>& on_step) {
  AdversarialStep step(state, config);
  Draws draws(config, dataset, device);
  Snapshot before;
  Forensics result;
  result.from_step = state.step;

  // Does an update; if that leaves anything not finite, once more from where it began, watched. A moment that is not
  // finite counts though the losses may stay finite for long: it never becomes finite again, and is never saved.
  const auto is_healthy = [&](const std::string& whose, int64_t number, const auto& update) {
    before.take(state);
    if (update() && !first_not_finite(named_tensors(state))) return true;
    before.put_back(state);
    const OperationWatch operations;
    Recorder recorder(operations);
    step.observe(&recorder);
    update();
    step.observe(nullptr);
    recorder.see_left(state);
    // Where a device's rounding differs from time to time, this time may have been the better one.
    if (recorder.first.empty()) return true;
    before.put_back(state);
    result.reproduced = true;
    result.step = state.step + 1;
    result.update = whose;
    result.update_number = number;
    result.first = std::move(recorder.first);
    result.operation = std::move(recorder.operation);
    result.sample = recorder.sample;
    result.tensors = std::move(recorder.tensors);
    for (const auto& [name, tensor] : named_tensors(state)) result.before.push_back(facts_of(name, tensor));
    return false;
  };

  while (state.step < until_step) {
    const auto lr_factor = learning_rate_factor(config, state.step) * state.lr_scale;
    torch::Tensor real;
    for (auto left = critic_steps(config.train, state.step); left > 0; --left) {
      const auto number = state.discriminator_updates;
      const auto batch = draws.discriminator_batch(number, step);
      real = batch.real;
      // As a run judges its losses: each, not their sum, which may be beyond float32 where neither is.
      const auto update = [&] {
        const auto report = step.update_discriminator(batch, lr_factor, false);
        return is_finite(report.loss) && (!report.penalty.defined() || is_finite(report.penalty));
      };
      if (is_healthy("discriminator", number, update)) continue;
      result.inputs = {{"real", batch.real.cpu()}, {"latent", batch.latent.cpu()}};
      for (size_t i = 0; i < batch.penalty_noise.size(); ++i) {
        if (!batch.penalty_noise[i].defined()) continue;
        result.inputs.insert({"penalty_noise." + std::to_string(i), batch.penalty_noise[i].cpu()});
      }
      return result;
    }
    const auto latent = draws.generator_latent(state.step);
    const auto update = [&] { return is_finite(step.update_generator(latent, real, lr_factor, false).loss); };
    if (!is_healthy("generator", state.step, update)) {
      result.inputs = {{"latent", latent.cpu()}, {"real", real.cpu()}};
      return result;
    }
    if (!on_step(state.step)) return result;
  }
  return result;
}

}  // namespace sgan
