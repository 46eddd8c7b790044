#include "training/schedule.h"

#include <algorithm>

namespace sgan {

double learning_rate_factor(const Config& config, int64_t step) {
  if (config.schedule.kind == ScheduleKind::constant) return 1.0;
  const auto start = config.schedule.start;
  const auto length = std::max<int64_t>(1, config.train.steps - start);
  return 1.0 - static_cast<double>(std::clamp<int64_t>(step - start, 0, length)) / static_cast<double>(length);
}

int64_t critic_steps(const TrainOptions& train, int64_t step) {
  const auto& boost = train.boost;
  const bool boosted = boost.critic_steps > 0 && (step < boost.first || is_due(step, boost.every));
  return boosted ? boost.critic_steps : train.critic_steps;
}

int64_t generator_batch(const TrainOptions& train) {
  return train.generator_batch > 0 ? train.generator_batch : train.batch;
}

}  // namespace sgan
