#include "training/forensics.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include "training/divergence.h"
#include "training/draws.h"
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

// Notes the operation whose result is the first that is not finite, from its making until its end.
class OperationWatch {
 public:
  OperationWatch() {
    first().clear();
    handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(nullptr, &OperationWatch::look)
                                             .needsOutputs(true)
                                             .scopes({at::RecordScope::FUNCTION}));
  }
  OperationWatch(const OperationWatch&) = delete;
  OperationWatch& operator=(const OperationWatch&) = delete;
  ~OperationWatch() { at::removeCallback(handle_); }

  const std::string& found() const { return first(); }

 private:
  static std::string& first() {
    thread_local std::string name;
    return name;
  }

  static void look(const at::RecordFunction& function, at::ObserverContext* /*context*/) {
    if (!first().empty()) return;
    at::DisableRecordFunctionGuard silence;
    for (const auto& output : function.outputs()) {
      if (!output.isTensor() || !output.toTensor().defined() || !output.toTensor().has_storage()) continue;
      torch::NoGradGuard no_grad;
      const auto tensor = output.toTensor().detach();
      // What was only reserved holds anything.
      const std::string name = function.name();
      if (name.find("empty") != std::string::npos || is_finite(tensor)) continue;
      first() = name;
      return;
    }
  }

  at::CallbackHandle handle_;
};

class Recorder final : public StepObserver {
 public:
  void see(const std::string& name, const torch::Tensor& value) override {
    tensors.push_back(facts_of(name, value));
    if (!first.empty() || tensors.back().not_finite == 0) return;
    first = name;
    const bool batch = value.dim() > 0 && (name.find("samples") != name.npos || name == "latents");
    if (batch)
      sample = torch::isfinite(value).reshape({value.size(0), -1}).all(1).logical_not().nonzero()[0].item<int64_t>();
  }

  std::vector<TensorFacts> tensors;
  std::string first;
  std::optional<int64_t> sample;
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

  // Does an update; if that leaves anything not finite, once more from where it began, watched.
  const auto is_healthy = [&](const std::string& whose, int64_t number, const auto& update) {
    before.take(state);
    if (is_finite(update()) && !first_not_finite(named_tensors(state))) return true;
    before.put_back(state);
    result.step = state.step + 1;
    result.update = whose;
    result.update_number = number;
    for (const auto& [name, tensor] : named_tensors(state)) result.before.push_back(facts_of(name, tensor));
    Recorder recorder;
    {
      const OperationWatch operations;
      step.observe(&recorder);
      update();
      result.operation = operations.found();
    }
    step.observe(nullptr);
    before.put_back(state);
    result.tensors = std::move(recorder.tensors);
    result.first = std::move(recorder.first);
    result.sample = recorder.sample;
    result.reproduced = !result.first.empty();
    return false;
  };

  while (state.step < until_step) {
    const auto lr_factor = learning_rate_factor(config, state.step) * state.lr_scale;
    torch::Tensor real;
    for (auto left = critic_steps(config.train, state.step); left > 0; --left) {
      const auto number = state.discriminator_updates;
      const auto batch = draws.discriminator_batch(number, step);
      real = batch.real;
      const auto update = [&] {
        const auto report = step.update_discriminator(batch, lr_factor, false);
        return report.penalty.defined() ? report.loss + report.penalty : report.loss;
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
    if (!is_healthy("generator", state.step,
                    [&] { return step.update_generator(latent, real, lr_factor, false).loss; })) {
      result.inputs = {{"latent", latent.cpu()}, {"real", real.cpu()}};
      return result;
    }
    if (!on_step(state.step)) return result;
  }
  return result;
}

}  // namespace sgan
