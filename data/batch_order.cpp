#include "data/batch_order.h"

#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "configs/error.h"
#include "run/splitmix64.h"

namespace sgan {

BatchOrder::BatchOrder(int64_t samples, int64_t batch, uint64_t seed) : samples_(samples), batch_(batch), seed_(seed) {
  TORCH_CHECK(batch > 0, "a batch needs samples, got batch ", batch);
  TORCH_CHECK(samples <= UINT32_MAX, "at most 2^32 - 1 samples, got ", samples);
  if (batch > samples) {
    throw UserError(fmt::format("train.batch is {}, but the data have only {} samples, and a batch takes none twice. "
                                "Lower train.batch to {} or less.",
                                batch, samples, samples),
                    UserError::Kind::usage);
  }
}

torch::Tensor BatchOrder::indices(int64_t update) {
  TORCH_CHECK(update >= 0, "updates count from 0, got ", update);
  torch::Tensor result = torch::empty({batch_}, torch::kInt64);
  int64_t* out = result.data_ptr<int64_t>();
  for (int64_t i = 0; i < batch_; ++i) {
    const int64_t position = update * batch_ + i;
    out[i] = order(position / samples_)[position % samples_];
  }
  return result;
}

const std::vector<uint32_t>& BatchOrder::order(int64_t epoch) {
  Epoch& slot = cache_[epoch % 2];
  if (slot.number != epoch) {
    slot.number = epoch;
    slot.order.resize(samples_);
    std::iota(slot.order.begin(), slot.order.end(), 0);
    SplitMix64 random(seed_, epoch);
    for (int64_t i = samples_ - 1; i > 0; --i) std::swap(slot.order[i], slot.order[random.below(i + 1)]);
  }
  return slot.order;
}

}  // namespace sgan
