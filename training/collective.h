#pragma once

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "configs/error.h"
#include "configs/options.h"
#include "normalization/batch_exchange.h"
#include "training/batch_part.h"
#include "training/state.h"

namespace sgan {

// Data parallelism: several processes train one run. Each has the whole state and a part of every batch; their
// gradients are averaged, so that every update is the one that a single process would make of the whole batch, and the
// states stay equal to the last bit.

// Another process of the run has ended or is silent; nothing can go on without it.
class LostProcessError : public UserError {
 public:
  using UserError::UserError;
};

// What the processes of a run say to each other. All of them must make the same calls in the same order; each waits for
// the others. Errors: LostProcessError.
class Collective {
 public:
  virtual ~Collective() = default;
  virtual int64_t rank() const = 0;  // from 0; the first one writes the run folder
  virtual int64_t size() const = 0;
  // Replaces the values by their sums over the processes, the same bits everywhere. flat: contiguous, of one size and
  // type on all processes.
  virtual void sum(const torch::Tensor& flat) = 0;
  // Everyone's message, by rank.
  virtual std::vector<std::string> gather(const std::string& mine) = 0;
  // What the first process says; the others' is not read.
  virtual std::string from_first(const std::string& mine) = 0;

  bool is_first() const { return rank() == 0; }
  BatchPart part() const { return {rank(), size()}; }
};

// True everywhere where any process says so.
bool any(Collective& collective, bool mine);

// Replaces each tensor by its mean over the processes: flattened into one bucket a type, so that a network's gradients
// are one message.
void average(Collective& collective, std::vector<torch::Tensor>& tensors);

// Gives every process the first one's state: tensors and counters. state: made from the same config everywhere.
void share_state(Collective& collective, TrainingState& state);

// Makes what each process has of its own, the running statistics of batch norms of that scope, the first one's:
// training does not read them, and the first one alone samples with them. Errors: UserError, on every process, if the
// states are not the same to the last bit otherwise; the process on which it differs says which tensor does.
void settle_state(Collective& collective, TrainingState& state, BatchNormScope scope);

// While it lives, the networks' batch norms see the batch of all processes, if the config wants that. collective,
// state: must outlive it.
class SharedBatchNorms {
 public:
  SharedBatchNorms(Collective& collective, const TrainingState& state, const Config& config);
  SharedBatchNorms(const SharedBatchNorms&) = delete;
  SharedBatchNorms& operator=(const SharedBatchNorms&) = delete;
  ~SharedBatchNorms();

 private:
  void attach(const BatchExchange* exchange);

  std::unique_ptr<BatchExchange> exchange_;
  std::vector<Network> networks_;
};

// Errors: UserError where the config's batches cannot be split evenly, or where a part of a batch does not do for the
// whole.
void check_parallel(const Config& config, int64_t processes);

}  // namespace sgan
