#include "app/run_need.h"

#include "models/factory.h"

namespace sgan {
namespace {

// Copies of a trained number that a run holds: the weight, its gradient and what the optimizer keeps.
int64_t copies(const OptimizerOptions& optimizer) {
  switch (optimizer.kind) {
    case OptimizerKind::adam:
      return 4;
    case OptimizerKind::rmsprop:
      return optimizer.momentum > 0 ? 4 : 3;
    case OptimizerKind::sgd:
      return optimizer.momentum > 0 ? 3 : 2;
  }
  return 4;
}

double multiply_adds(const NetworkImpl& network) {
  double sum = 0;
  for (const auto& [name, layer] : network.layers()) sum += static_cast<double>(layer->geometry().multiply_adds());
  return sum;
}

// Numbers that the linear maps give for one sample.
int64_t outputs(const NetworkImpl& network) {
  int64_t sum = 0;
  for (const auto& [name, layer] : network.layers()) {
    const auto& geometry = layer->geometry();
    sum += geometry.out_channels * geometry.out_size() * geometry.out_size();
  }
  return sum;
}

}  // namespace

RunNeed need_of(const Config& config, const std::vector<int64_t>& sample_shape) {
  constexpr int64_t kFloat = 4;
  RunNeed need;
  {
    const auto generator = make_generator(config, sample_shape);
    const auto discriminator = make_discriminator(config, sample_shape);
    need.generator = count_parameters(*generator);
    need.discriminator = count_parameters(*discriminator);
    // Forward, by input and by weight: real and fake in the discriminator's update, which also draws the fakes.
    const auto batch = static_cast<double>(config.train.batch);
    need.multiply_adds = batch * (9 * multiply_adds(*discriminator) + 4 * multiply_adds(*generator));
    // Of each linear map its outputs, what a norm and an activation make of them, and a gradient; of a critic whose
    // gradient is differentiated, those of that too.
    const bool twice = !config.penalties.empty() || config.discriminator.gradient_normalization;
    constexpr int64_t kKept = 4;
    need.activations =
        kFloat * kKept * config.train.batch * ((twice ? 4 : 2) * outputs(*discriminator) + outputs(*generator));
  }
  const int64_t average = config.ema.decay > 0 ? 1 : 0;
  const auto g = copies(config.optimizer.generator);
  const auto d = copies(config.optimizer.discriminator);
  need.memory = kFloat * (need.generator * (g + average) + need.discriminator * d);
  need.checkpoint = kFloat * (need.generator * (g - 1 + average) + need.discriminator * (d - 1));  // without gradients
  return need;
}

}  // namespace sgan
