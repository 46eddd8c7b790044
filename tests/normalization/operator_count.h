#pragma once

#include <ATen/record_function.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace sgan {

// While it lives, counts the tensor operations of this thread that touch elements: no views and no allocations, and of
// an operation that is put together from others those. What an operation does inside on a CPU does not count, and one
// on a list of tensors counts once: on a GPU it is a kernel or two.
class OperatorCount {
 public:
  OperatorCount() {
    current() = this;
    handle_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback(
            [](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
              current()->begin(function.name());
              return nullptr;
            },
            [](const at::RecordFunction& function, at::ObserverContext*) { current()->end(function.name()); })
            .scopes({at::RecordScope::FUNCTION}));
  }
  OperatorCount(const OperatorCount&) = delete;
  OperatorCount& operator=(const OperatorCount&) = delete;
  ~OperatorCount() {
    at::removeCallback(handle_);
    current() = nullptr;
  }

  int64_t total() const {
    int64_t sum = 0;
    for (const auto& [name, count] : counts_) sum += count;
    return sum;
  }
  // For a look at what they are.
  const std::map<std::string, int64_t>& by_name() const { return counts_; }

 private:
  static OperatorCount*& current() {
    static thread_local OperatorCount* count = nullptr;
    return count;
  }

  // One that is a kernel of its own.
  static bool counts(std::string_view name) {
    static const std::set<std::string_view> kViewsAllocationsAndComposites{"alias",
                                                                           "as_strided",
                                                                           "clone",
                                                                           "contiguous",
                                                                           "detach",
                                                                           "detach_",
                                                                           "empty",
                                                                           "empty_like",
                                                                           "empty_strided",
                                                                           "expand",
                                                                           "expand_as",
                                                                           "flatten",
                                                                           "movedim",
                                                                           "mv",
                                                                           "narrow",
                                                                           "new_empty",
                                                                           "new_zeros",
                                                                           "norm",
                                                                           "ones_like",
                                                                           "outer",
                                                                           "permute",
                                                                           "ger",
                                                                           "reshape",
                                                                           "slice",
                                                                           "result_type",
                                                                           "select",
                                                                           "split_with_sizes",
                                                                           "square",
                                                                           "squeeze",
                                                                           "stack",
                                                                           "sum_to_size",
                                                                           "t",
                                                                           "to",
                                                                           "_to_copy",
                                                                           "transpose",
                                                                           "unsqueeze",
                                                                           "view",
                                                                           "view_as",
                                                                           "zeros",
                                                                           "zeros_like",
                                                                           "_reshape_alias",
                                                                           "_unsafe_view",
                                                                           "resolve_conj",
                                                                           "is_floating_point"};
    constexpr std::string_view kPrefix = "aten::";
    return name.starts_with(kPrefix) && !kViewsAllocationsAndComposites.contains(name.substr(kPrefix.size()));
  }

  void begin(std::string_view name) {
    if (!counts(name)) return;
    if (depth_++ == 0) ++counts_[std::string(name)];
  }
  void end(std::string_view name) {
    if (counts(name)) --depth_;
  }

  at::CallbackHandle handle_;
  int64_t depth_ = 0;  // of counted operations that have begun
  std::map<std::string, int64_t> counts_;
};

}  // namespace sgan
