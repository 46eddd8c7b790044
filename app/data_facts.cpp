#include "app/data_facts.h"

#include <algorithm>
#include <limits>

#include "configs/error.h"
#include "models/factory.h"

namespace sgan {
namespace {

// Largest absolute value that the generator's last operation lets through; 0: no limit.
double output_limit(const Config& config, const std::vector<int64_t>& shape) {
  try {
    const auto composition = make_generator(config, shape)->composition();
    const auto* last = std::get_if<Pointwise>(&composition.back().what);
    return last != nullptr && last->activation == Activation::tanh ? 1.0 : 0.0;
  } catch (const UserError&) {
    return 0.0;  // no network makes this shape, which is told elsewhere
  }
}

}  // namespace

DataFacts data_facts(const Config& config, const Dataset& dataset, double least, double largest) {
  return {.samples = dataset.size(),
          .classes = dataset.labels.empty() ? 0 : std::ssize(dataset.classes),
          .least = least,
          .largest = largest,
          .output_limit = output_limit(config, dataset.sample_shape())};
}

DataFacts data_facts(const Config& config, const Dataset& dataset) {
  constexpr int64_t kLookAt = 1000;
  constexpr int64_t kPart = 100;
  const auto count = std::min(kLookAt, dataset.size());
  auto least = std::numeric_limits<double>::infinity(), largest = -least;
  for (const auto& indices : torch::floor_divide(torch::arange(count) * dataset.size(), count).split(kPart)) {
    const auto values = deliver(dataset, indices, {}, torch::kCPU);
    least = std::min(least, values.min().item<double>());
    largest = std::max(largest, values.max().item<double>());
  }
  return data_facts(config, dataset, least, largest);
}

}  // namespace sgan
