#include "training/captured_step.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <exception>

namespace sgan {
namespace {

constexpr int64_t kRehearsals = 2;

// Copies the values into a tensor that stays where it is; the first ones decide its shape.
void hold(torch::Tensor& held, const torch::Tensor& values) {
  if (!values.defined()) return;
  if (!held.defined()) {
    held = values.clone();
    return;
  }
  TORCH_CHECK(held.sizes() == values.sizes(), "a captured update takes ", held.sizes(), ", got ", values.sizes());
  held.copy_(values);
}

// The text of an error without LibTorch's backtrace.
std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace

CapturedStep::CapturedStep(TrainingState& state, const Config& config, GraphRecorder& recorder,
                           std::function<void(const std::string&)> on_fallback)
    : AdversarialStep(state, config), recorder_(recorder), on_fallback_(std::move(on_fallback)) {
  const auto scalar = torch::TensorOptions(torch::kDouble).device(state.generator->parameters().front().device());
  lr_factor_ = torch::zeros({}, scalar);
  decay_ = torch::zeros({}, scalar);
  batch_.penalty_noise.resize(config.penalties.size());
}

DiscriminatorReport CapturedStep::run_discriminator(const DiscriminatorForm& form, const DiscriminatorBatch& batch,
                                                    double lr_factor) {
  hold(batch_.real, batch.real);
  hold(batch_.latent, batch.latent);
  for (size_t i = 0; i < batch.penalty_noise.size(); ++i) hold(batch_.penalty_noise[i], batch.penalty_noise[i]);
  lr_factor_.fill_(lr_factor);
  return run<DiscriminatorReport>(discriminator_forms_[form], "discriminator",
                                  [this, form] { return compute_discriminator(form, batch_, lr_factor_); });
}

GeneratorReport CapturedStep::run_generator(bool measure, const torch::Tensor& latent, const torch::Tensor& real,
                                            double lr_factor, double decay) {
  hold(batch_.real, real);
  hold(latent_, latent);
  lr_factor_.fill_(lr_factor);
  decay_.fill_(decay);
  return run<GeneratorReport>(generator_forms_[measure], "generator", [this, measure] {
    return compute_generator(measure, latent_, batch_.real, lr_factor_, decay_);
  });
}

template <class Report>
Report CapturedStep::run(Form<Report>& form, const std::string& name, const std::function<Report()>& compute) {
  const auto fill = [&form, compute] { form.report = compute(); };
  if (form.work == nullptr && form.rehearsed < kRehearsals) {
    recorder_.rehearse(fill);
    ++form.rehearsed;
    return form.report;
  }
  if (form.work == nullptr && !form.refused) {
    try {
      form.work = recorder_.capture(fill);
      ++captured_;
    } catch (const std::exception& error) {
      form.refused = true;
      form.report = {};
      on_fallback_(fmt::format("the {}'s update cannot be captured and goes on operation by operation: {}", name,
                               first_line(error)));
    }
  }
  if (form.refused) return compute();
  form.work->replay();
  return form.report;
}

}  // namespace sgan
