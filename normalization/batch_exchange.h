#pragma once

#include <torch/types.h>

namespace sgan {

// What norms over a batch ask of the other processes where several train one network, each on its part of the batch.
class BatchExchange {
 public:
  virtual ~BatchExchange() = default;
  // values: (K), on every process. Returns everyone's, (processes, K), in one order everywhere. Differentiable, also
  // twice: the gradient of a process's values is the sum of what every process's loss sends back to them. Every process
  // must call it as often, and differentiate it as often, as every other.
  virtual torch::Tensor gather(const torch::Tensor& values) const = 0;
};

// A norm over the batch. Without an exchange, which must outlive its use, the batch is the process's own.
class BatchStatistics {
 public:
  virtual ~BatchStatistics() = default;
  void exchange_with(const BatchExchange* exchange) { exchange_ = exchange; }

 protected:
  const BatchExchange* exchange_ = nullptr;
};

}  // namespace sgan
