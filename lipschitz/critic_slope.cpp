#include "lipschitz/critic_slope.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace sgan {
namespace {

constexpr int64_t kBatch = 256;
constexpr double kRounding = 256 * std::numeric_limits<double>::epsilon();  // of a critic's value, relative

torch::Tensor gradients_of(const CriticFunction& critic, const torch::Tensor& points) {
  const torch::AutoGradMode with_grad(true);
  const auto x = points.detach().requires_grad_(true);
  return torch::autograd::grad({critic(x).sum()}, {x})[0];
}

torch::Tensor lengths(const torch::Tensor& vectors) {
  return vectors.flatten(1).norm(2, 1);
}

torch::Tensor slopes_of_batch(const CriticFunction& critic, const torch::Tensor& points) {
  return lengths(gradients_of(critic, points));
}

torch::Tensor secants_of_batch(const CriticFunction& critic, const torch::Tensor& points, double typical_length) {
  const auto gradients = gradients_of(critic, points);
  const auto length = lengths(gradients);
  auto shape = std::vector<int64_t>(static_cast<size_t>(points.dim()), 1);
  shape[0] = points.size(0);
  const auto directions = gradients / length.where(length > 0, torch::ones_like(length)).view(shape);
  torch::NoGradGuard no_grad;
  auto steepest = torch::zeros_like(length);
  for (const double share : {1e-2, 1e-3, 1e-4, 1e-5, 1e-6}) {
    const auto above = points + share * typical_length * directions;
    const auto below = points - share * typical_length * directions;
    // The distance as it was rounded, not as it was meant.
    const auto distance = lengths(above - below);
    const auto high = critic(above);
    const auto low = critic(below);
    // What rounding may have added, lest a flat critic's noise pass for a slope.
    const auto rounding = kRounding * (high.abs() + low.abs());
    const auto rise = ((high - low).abs() - rounding).clamp_min(0);
    steepest = torch::maximum(steepest, rise / distance.where(distance > 0, torch::full_like(distance, INFINITY)));
  }
  return steepest;
}

}  // namespace

torch::Tensor gradients_at(const CriticFunction& critic, const torch::Tensor& points) {
  std::vector<torch::Tensor> parts;
  for (const auto& part : points.split(kBatch)) parts.push_back(gradients_of(critic, part));
  return torch::cat(parts);
}

torch::Tensor slopes_at(const CriticFunction& critic, const torch::Tensor& points) {
  std::vector<torch::Tensor> parts;
  for (const auto& part : points.split(kBatch)) parts.push_back(slopes_of_batch(critic, part));
  return torch::cat(parts);
}

torch::Tensor secants_at(const CriticFunction& critic, const torch::Tensor& points) {
  const auto typical_length = lengths(points).mean().item<double>();
  std::vector<torch::Tensor> parts;
  for (const auto& part : points.split(kBatch)) parts.push_back(secants_of_batch(critic, part, typical_length));
  return torch::cat(parts);
}

torch::Tensor slopes_beside(const CriticFunction& critic, const torch::Tensor& points, at::Generator generator) {
  const auto length = 1e-7 * lengths(points).mean().item<double>();
  const auto numbers = static_cast<double>(points[0].numel());
  const auto noise = torch::randn(points.sizes(), generator, points.options());
  return slopes_at(critic, points + noise * (std::max(length, 1e-12) / std::sqrt(numbers)));
}

CriticSlope critic_slope(const CriticFunction& critic, const torch::Tensor& points) {
  const auto slopes = slopes_of_batch(critic, points);
  return {slopes.mean(), slopes.max()};
}

}  // namespace sgan
