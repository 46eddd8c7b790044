#include "training/divergence.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace sgan {
namespace {

constexpr int64_t kNone = std::numeric_limits<int64_t>::max();

const char* describe(double value) {
  return std::isnan(value) ? "NaN" : value > 0 ? "infinite" : "minus infinite";
}

[[noreturn]] void fail(int64_t step, const std::string& what) {
  throw DivergenceError(fmt::format("training has diverged: {} at step {}. The last checkpoint is untouched. Lower the "
                                    "learning rates, or use a stronger constraint or penalty.",
                                    what, step),
                        step);
}

}  // namespace

std::optional<std::string> first_not_finite(const NamedTensors& tensors) {
  std::vector<torch::Tensor> are_finite;
  for (const auto& [name, tensor] : tensors) are_finite.push_back(torch::isfinite(tensor).all());
  if (torch::stack(are_finite).all().item<bool>()) return std::nullopt;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!are_finite[i].item<bool>()) return tensors[i].first;
  }
  return std::nullopt;
}

void require_finite(const NamedTensors& tensors, int64_t step) {
  const auto name = first_not_finite(tensors);
  if (!name) return;
  throw DivergenceError(
      fmt::format("{} holds NaN or infinity at step {}: training has diverged, and no checkpoint of it "
                  "is written. Lower the learning rates, or use a stronger constraint or penalty.",
                  *name, step),
      step);
}

FiniteFlag::FiniteFlag(torch::Device device)
    : first_(torch::full({}, kNone, torch::TensorOptions(torch::kInt64).device(device))) {}

void FiniteFlag::record(int64_t step, const std::vector<std::pair<const char*, torch::Tensor>>& losses) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, loss] : losses) {
    if (!loss.defined()) continue;
    if (loss.is_cpu()) {
      const auto value = loss.item<double>();
      if (!std::isfinite(value)) fail(step, fmt::format("{} is {}", name, describe(value)));
    } else {
      first_ = torch::minimum(first_, torch::where(torch::isfinite(loss), kNone, torch::full_like(first_, step)));
    }
  }
}

void FiniteFlag::check() const {
  const auto step = first_.item<int64_t>();
  if (step != kNone) fail(step, "a loss is no longer finite");
}

}  // namespace sgan
