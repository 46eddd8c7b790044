#include "training/collective.h"

#include <fmt/format.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/utils.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <string_view>

#include "training/schedule.h"

namespace sgan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The sum over the processes as an operation of autograd. A value counts in every process's loss, so the gradients that
// come back are summed likewise.
struct SumOverProcesses : torch::autograd::Function<SumOverProcesses> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& values, int64_t collective) {
    context->saved_data["collective"] = collective;
    auto sum = values.clone(torch::MemoryFormat::Contiguous);
    from(collective).sum(sum);
    return sum;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {apply(gradients[0], context->saved_data["collective"].toInt()), torch::Tensor()};
  }

  // An address is the one form in which a saved value takes it.
  static int64_t handle(Collective& collective) {
    return static_cast<int64_t>(reinterpret_cast<intptr_t>(&collective));
  }
  static Collective& from(int64_t handle) { return *reinterpret_cast<Collective*>(static_cast<intptr_t>(handle)); }
};

class Exchange final : public BatchExchange {
 public:
  explicit Exchange(Collective& collective) : collective_(collective) {}

  torch::Tensor gather(const torch::Tensor& values) const override {
    // Everyone's row is zero but the own one, and the sum has all of them.
    const auto rank = collective_.rank();
    const auto placed = torch::constant_pad_nd(values.unsqueeze(0), {0, 0, rank, collective_.size() - 1 - rank});
    return SumOverProcesses::apply(placed, SumOverProcesses::handle(collective_));
  }

 private:
  Collective& collective_;
};

// A number that other bits hardly have.
int64_t digest(const torch::Tensor& tensor) {
  const auto values = tensor.cpu().contiguous();
  const std::string_view bytes(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
  return static_cast<int64_t>(std::hash<std::string_view>{}(bytes));
}

std::vector<int64_t TrainingState::*> counters() {
  return {&TrainingState::step, &TrainingState::discriminator_updates, &TrainingState::other_batches_images,
          &TrainingState::rollbacks};
}

std::string bytes_of(const torch::Tensor& values) {
  return {static_cast<const char*>(values.const_data_ptr()), values.nbytes()};
}

// Makes the tensor everywhere what it is on the first process.
void take_from_first(Collective& collective, const std::string& name, const torch::Tensor& tensor) {
  torch::NoGradGuard no_grad;
  auto values = tensor.cpu().contiguous();
  const auto bytes = collective.from_first(collective.is_first() ? bytes_of(values) : "");
  if (collective.is_first()) return;
  TORCH_CHECK(bytes.size() == values.nbytes(), "the first process's ", name, " has ", bytes.size(), " bytes, not ",
              values.nbytes());
  values = torch::empty_like(values);
  std::memcpy(values.mutable_data_ptr(), bytes.data(), bytes.size());
  tensor.copy_(values);
}

}  // namespace

bool any(Collective& collective, bool mine) {
  const auto all = collective.gather(mine ? "yes" : "");
  return std::ranges::any_of(all, [](const std::string& answer) { return !answer.empty(); });
}

void average(Collective& collective, std::vector<torch::Tensor>& tensors) {
  torch::NoGradGuard no_grad;
  std::map<torch::ScalarType, std::vector<size_t>> buckets;
  for (size_t i = 0; i < tensors.size(); ++i) buckets[tensors[i].scalar_type()].push_back(i);
  for (const auto& [type, members] : buckets) {
    std::vector<torch::Tensor> parts;
    std::vector<int64_t> sizes;
    for (const auto i : members) {
      parts.push_back(tensors[i].flatten());
      sizes.push_back(tensors[i].numel());
    }
    const auto flat = torch::cat(parts);
    collective.sum(flat);
    flat.div_(collective.size());
    const auto means = flat.split_with_sizes(sizes);
    for (size_t k = 0; k < members.size(); ++k) {
      auto& tensor = tensors[members[k]];
      tensor = means[k].view(tensor.sizes());
    }
  }
}

void share_state(Collective& collective, TrainingState& state) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : named_tensors(state)) take_from_first(collective, name, tensor);
  auto numbers = torch::empty({2}, torch::kDouble);
  auto counts = torch::empty({std::ssize(counters())}, torch::kLong);
  numbers[0] = state.lr_scale;
  numbers[1] = state.train_seconds;
  int64_t next = 0;
  for (const auto member : counters()) counts[next++] = state.*member;
  const auto first_numbers = collective.from_first(bytes_of(numbers));
  const auto first_counts = collective.from_first(bytes_of(counts));
  std::memcpy(numbers.mutable_data_ptr(), first_numbers.data(), first_numbers.size());
  std::memcpy(counts.mutable_data_ptr(), first_counts.data(), first_counts.size());
  state.lr_scale = numbers[0].item<double>();
  state.train_seconds = numbers[1].item<double>();
  next = 0;
  for (const auto member : counters()) state.*member = counts[next++].item<int64_t>();
}

void settle_state(Collective& collective, TrainingState& state, BatchNormScope scope) {
  const auto tensors = named_tensors(state);
  if (scope == BatchNormScope::per_process) {
    for (const auto& [name, tensor] : tensors) {
      if (name.ends_with(".running_mean") || name.ends_with(".running_var")) take_from_first(collective, name, tensor);
    }
  }
  auto mine = torch::empty({std::ssize(tensors)}, torch::kLong);
  for (size_t i = 0; i < tensors.size(); ++i) mine[static_cast<int64_t>(i)] = digest(tensors[i].second);
  const auto first = collective.from_first(bytes_of(mine));
  const auto same = bytes_of(mine) == first;
  const auto all = collective.gather(same ? "" : "differs");
  if (std::ranges::all_of(all, &std::string::empty)) return;
  std::string where = "another process's";
  if (!same) {
    auto theirs = torch::empty_like(mine);
    std::memcpy(theirs.mutable_data_ptr(), first.data(), first.size());
    const auto index = (theirs != mine).nonzero()[0].item<int64_t>();
    where = fmt::format("'{}' of rank {}", tensors[static_cast<size_t>(index)].first, collective.rank());
  }
  throw UserError(fmt::format(
      "the processes' states have parted by step {}: {} is not what rank 0 has. They must compute the same "
      "to the last bit: give them processors or GPUs of one kind and the same number of threads, then go on "
      "from the last checkpoint, which is good.",
      state.step, where));
}

SharedBatchNorms::SharedBatchNorms(Collective& collective, const TrainingState& state, const Config& config)
    : networks_{state.generator, state.discriminator} {
  if (config.parallel.batch_norm == BatchNormScope::per_process) return;
  exchange_ = std::make_unique<Exchange>(collective);
  attach(exchange_.get());
}

SharedBatchNorms::~SharedBatchNorms() {
  attach(nullptr);
}

void SharedBatchNorms::attach(const BatchExchange* exchange) {
  for (const auto& network : networks_) {
    for (const auto& module : network->modules()) {
      if (auto* norm = dynamic_cast<BatchStatistics*>(module.get())) norm->exchange_with(exchange);
    }
  }
}

void check_parallel(const Config& config, int64_t processes) {
  for (const auto& [key, size] :
       {std::pair{"train.batch", config.train.batch}, {"train.generator_batch", generator_batch(config.train)}}) {
    if (size % processes == 0) continue;
    throw UserError(fmt::format("{}: got {}, which {} processes cannot share evenly; give a multiple of {}, or start "
                                "another number of processes.",
                                key, size, processes, processes),
                    UserError::Kind::usage);
  }
  for (const auto& entry : config.penalties) {
    if (entry.kind != PenaltyKind::dragan) continue;
    throw UserError(
        "penalties: dragan takes the standard deviation of a whole batch, of which each of several processes "
        "has a part. Train it with one process, or choose gp.",
        UserError::Kind::usage);
  }
  if (config.execution == Execution::graph) {
    throw UserError("execution: got graph; several processes train operation by operation: give eager or auto.",
                    UserError::Kind::usage);
  }
}

}  // namespace sgan
