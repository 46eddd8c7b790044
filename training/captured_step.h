#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "training/graph_capture.h"
#include "training/step.h"

namespace sgan {

// A training step whose updates are captured and replayed, optimizer and averaging included. An update's operations
// are those of its form: which penalties are due, and whether gradients are measured. The first updates of each form
// are done operation by operation; the next one is captured, and from then on a replay is the update. The numbers are
// AdversarialStep's, with the rates in Rate's other kind.
//
// What an update reads is copied into tensors that stay where they are; the networks' and optimizers' tensors must stay
// too as long as this lives: whoever loads a state copies into them.
class CapturedStep final : public AdversarialStep {
 public:
  // recorder: must outlive this. on_fallback is told, in one sentence, of each form that cannot be captured and goes on
  // operation by operation.
  CapturedStep(TrainingState& state, const Config& config, GraphRecorder& recorder,
               std::function<void(const std::string&)> on_fallback);

  // How many forms of updates have been captured.
  int64_t captured() const { return captured_; }

 private:
  template <class Report>
  struct Form {
    int64_t rehearsed = 0;
    bool refused = false;
    std::unique_ptr<CapturedWork> work;
    Report report;  // what the work fills
  };

  DiscriminatorReport run_discriminator(const DiscriminatorForm& form, const DiscriminatorBatch& batch,
                                        double lr_factor) override;
  GeneratorReport run_generator(bool measure, const torch::Tensor& latent, const torch::Tensor& real, double lr_factor,
                                double decay) override;
  // name: of the update, for a message.
  template <class Report>
  Report run(Form<Report>& form, const std::string& name, const std::function<Report()>& compute);

  GraphRecorder& recorder_;
  std::function<void(const std::string&)> on_fallback_;
  int64_t captured_ = 0;

  // What the updates read.
  DiscriminatorBatch batch_;
  torch::Tensor latent_;
  torch::Tensor lr_factor_;
  torch::Tensor decay_;

  std::map<DiscriminatorForm, Form<DiscriminatorReport>> discriminator_forms_;
  std::map<bool, Form<GeneratorReport>> generator_forms_;  // by whether they measure
};

}  // namespace sgan
