#pragma once

#include <ATen/record_function.h>
#include <torch/types.h>

#include <string>

namespace sgan {

// Follows where NaN and infinity come from, through every LibTorch operation of this thread and of the backward passes
// that it starts, from its making until its end. Each operation waits for the device. One at a time in a process.
class OperationWatch {
 public:
  OperationWatch();
  OperationWatch(const OperationWatch&) = delete;
  OperationWatch& operator=(const OperationWatch&) = delete;
  ~OperationWatch();

  // tensor: one that is not finite and was not freed since. Returns the operation that turned finite numbers into its
  // NaN or infinity, "aten::mul" say, however many operations passed that on since. "" where no operation did: it was
  // given, or written by code that is no operation.
  std::string origin_of(const torch::Tensor& tensor) const;

 private:
  at::CallbackHandle handle_;
};

}  // namespace sgan
