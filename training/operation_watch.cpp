#include "training/operation_watch.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sgan {
namespace {

// What the callbacks, which are plain functions, write to. On a GPU a backward pass runs in a thread of its own.
struct Origins {
  struct Origin {
    std::string operation;
    int64_t number = 0;  // counts them
  };

  std::mutex mutex;
  bool watched = false;
  int64_t count = 0;
  // By storage, so that views of a tensor need no following.
  std::unordered_map<const c10::StorageImpl*, Origin> of;
};

Origins& origins() {
  static Origins all;
  return all;
}

const c10::StorageImpl* storage_of(const torch::Tensor& tensor) {
  return tensor.storage().unsafeGetStorageImpl();
}

// What an operation was given, and which of it was finite by then.
struct Inputs final : at::ObserverContext {
  struct Input {
    torch::Tensor tensor;
    bool finite;
    bool read;  // not only written over
  };
  std::vector<Input> all;
  int64_t begun = 0;  // the count of origins then
};

bool is_finite(const torch::Tensor& tensor) {
  return torch::isfinite(tensor.detach()).all().item<bool>();
}

// The arguments or results that can hold NaN.
std::vector<torch::Tensor> tensors_in(std::span<const c10::IValue> values) {
  std::vector<torch::Tensor> tensors;
  const auto add = [&](const torch::Tensor& tensor) {
    if (tensor.defined() && tensor.has_storage() && tensor.is_floating_point()) tensors.push_back(tensor);
  };
  for (const auto& value : values) {
    if (value.isTensor()) {
      add(value.toTensor());
    } else if (value.isTensorList()) {
      for (const auto& tensor : value.toTensorVector()) add(tensor);
    }
  }
  return tensors;
}

// Operations that reserve memory, and those that lay a tensor over other memory or lay it out anew, in place. What
// their results hold was there before, be it what freed tensors left: they make no number. Views that are results of
// their own are told by their schema.
bool makes_no_number(const at::RecordFunction& function) {
  const std::string_view name = function.name();
  constexpr std::array<std::string_view, 2> kReserving = {"empty", "resize"};  // empty_like, new_empty, resize_as_ …
  if (std::ranges::any_of(kReserving, [&](auto part) { return name.find(part) != name.npos; })) return true;
  constexpr std::array<std::string_view, 9> kInPlace = {"aten::set_",      "aten::as_strided_", "aten::transpose_",
                                                        "aten::swapdims_", "aten::swapaxes_",   "aten::t_",
                                                        "aten::squeeze_",  "aten::unsqueeze_",  "aten::detach_"};
  if (std::ranges::find(kInPlace, name) != kInPlace.end()) return true;
  const auto schema = function.operator_schema();
  if (!schema || schema->returns().empty()) return false;
  // reshape and to, which are views or copies, call another operation to copy.
  return std::ranges::all_of(schema->returns(), [](const c10::Argument& result) {
    return result.alias_info() != nullptr && !result.alias_info()->isWrite();
  });
}

// Whether the operation never reads that argument, and so may be given reserved memory there.
bool only_writes(const at::RecordFunction& function, size_t argument) {
  constexpr std::array<std::string_view, 5> kOverwriting = {"aten::copy_", "aten::fill_", "aten::zero_",
                                                            "aten::_foreach_copy_", "aten::_foreach_zero_"};
  if (argument == 0 && std::ranges::find(kOverwriting, std::string_view(function.name())) != kOverwriting.end())
    return true;
  const auto schema = function.operator_schema();
  return schema && argument < schema->arguments().size() && schema->arguments()[argument].is_out();
}

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
  const at::DisableRecordFunctionGuard silence;
  const torch::NoGradGuard no_grad;
  auto inputs = std::make_unique<Inputs>();
  if (!makes_no_number(function)) {
    const auto arguments = function.inputs();
    for (size_t i = 0; i < arguments.size(); ++i) {
      const bool read = !only_writes(function, i);
      for (const auto& tensor : tensors_in({&arguments[i], 1}))
        inputs->all.push_back({tensor, is_finite(tensor), read});
    }
  }
  const std::scoped_lock lock(origins().mutex);
  inputs->begun = origins().count;
  return inputs;
}

void end(const at::RecordFunction& function, at::ObserverContext* context) {
  const at::DisableRecordFunctionGuard silence;
  const torch::NoGradGuard no_grad;
  const auto& inputs = *static_cast<Inputs*>(context);
  auto& known = origins();
  const auto outputs = tensors_in(function.outputs());
  const std::scoped_lock lock(known.mutex);
  if (makes_no_number(function)) {
    // What is known of reserved memory is a freed tensor's past. A tensor that is laid out anew keeps its own.
    if (std::string_view(function.name()).find("empty") == std::string_view::npos) return;
    for (const auto& output : outputs) known.of.erase(storage_of(output));
    return;
  }

  std::vector<torch::Tensor> made;
  for (const auto& output : outputs) {
    if (!is_finite(output)) made.push_back(output);
  }
  // Schemas do not declare all that is changed in place: native_batch_norm's running statistics, for one.
  for (const auto& [tensor, was_finite, read] : inputs.all) {
    if (was_finite && !is_finite(tensor)) made.push_back(tensor);
  }
  if (made.empty()) return;

  std::string operation = function.name();
  for (const auto& [tensor, was_finite, read] : inputs.all) {
    if (was_finite || !read) continue;
    const auto origin = known.of.find(storage_of(tensor));
    operation = origin != known.of.end() ? origin->second.operation : "";
    if (!operation.empty()) break;
  }
  for (const auto& tensor : made) {
    auto& origin = known.of[storage_of(tensor)];
    // One of the operations that this one consists of says it better. Else the entry is of numbers that are gone.
    if (origin.number > inputs.begun) continue;
    origin = {operation, ++known.count};
  }
}

}  // namespace

OperationWatch::OperationWatch() {
  {
    const std::scoped_lock lock(origins().mutex);
    TORCH_CHECK(!origins().watched, "operations are watched already");
    origins().watched = true;
    origins().of.clear();
  }
  handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(&begin, &end)
                                           .needsInputs(true)
                                           .needsOutputs(true)
                                           .scopes({at::RecordScope::FUNCTION}));
}

OperationWatch::~OperationWatch() {
  at::removeCallback(handle_);
  const std::scoped_lock lock(origins().mutex);
  origins().watched = false;
}

std::string OperationWatch::origin_of(const torch::Tensor& tensor) const {
  const std::scoped_lock lock(origins().mutex);
  const auto origin = origins().of.find(storage_of(tensor));
  return origin != origins().of.end() ? origin->second.operation : "";
}

}  // namespace sgan
