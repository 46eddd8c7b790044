#include "lipschitz/slope_search.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include "run/random_streams.h"

namespace sgan {
namespace {

torch::Tensor lengths(const torch::Tensor& vectors) {
  return vectors.flatten(1).norm(2, 1);
}

// Per-sample factors shaped to multiply samples.
torch::Tensor spread(const torch::Tensor& factors, const torch::Tensor& samples) {
  std::vector<int64_t> shape(static_cast<size_t>(samples.dim()), 1);
  shape[0] = samples.size(0);
  return factors.view(shape);
}

torch::Tensor unit(const torch::Tensor& vectors) {
  const auto length = lengths(vectors);
  return vectors / spread(torch::where(length > 0, length, torch::ones_like(length)), vectors);
}

struct Slope {
  torch::Tensor length;    // (N)
  torch::Tensor gradient;  // of f
  torch::Tensor ascent;    // of the length; undefined where it has none
};

Slope slope_of_batch(const CriticFunction& critic, const torch::Tensor& points) {
  const torch::AutoGradMode with_grad(true);
  const auto x = points.detach().requires_grad_(true);
  const auto gradient =
      torch::autograd::grad({critic(x).sum()}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
  const auto length = lengths(gradient);
  Slope slope{length.detach(), gradient.detach(), torch::zeros_like(gradient)};
  if (!length.requires_grad()) return slope;
  slope.ascent = torch::autograd::grad({length.sum()}, {x}, {}, std::nullopt, false, /*allow_unused=*/true)[0];
  if (!slope.ascent.defined()) slope.ascent = torch::zeros_like(slope.gradient);
  return slope;
}

Slope slope_of(const CriticFunction& critic, const torch::Tensor& points) {
  constexpr int64_t kBatch = 256;
  std::vector<torch::Tensor> lengths, gradients, ascents;
  for (const auto& part : points.split(kBatch)) {
    const auto slope = slope_of_batch(critic, part);
    lengths.push_back(slope.length);
    gradients.push_back(slope.gradient);
    ascents.push_back(slope.ascent);
  }
  Slope slope{torch::cat(lengths), torch::cat(gradients), torch::cat(ascents)};
  // A piecewise linear critic's is zero: a move along it would stay where it is.
  if (!slope.ascent.any().item<bool>()) slope.ascent.reset();
  return slope;
}

}  // namespace

SlopeSearch climb_slope(const CriticFunction& critic, const torch::Tensor& points, int64_t steps, uint64_t seed,
                        double reach) {
  auto random = make_generator(seed, points.device());
  auto best = points.detach().clone();
  auto slope = slope_of(critic, best);
  SlopeSearch search{.start = slope.length, .steps = steps};
  auto stride = torch::full_like(slope.length, reach * lengths(points).mean().item<double>());
  for (int64_t step = 0; step < steps; ++step) {
    const auto before = slope.length;
    const auto noise = torch::randn(best.sizes(), random, best.options());
    // The moves are those from where the step began; each that is better becomes the best so far.
    for (const auto& direction : {slope.gradient, -slope.gradient, noise, slope.ascent}) {
      if (!direction.defined()) continue;
      const auto candidate = best + spread(stride, best) * unit(direction);
      const auto gradient = gradients_at(critic, candidate);
      const auto found = lengths(gradient);
      const auto better = found > slope.length;
      best = torch::where(spread(better, best), candidate, best);
      slope.gradient = torch::where(spread(better, best), gradient, slope.gradient);
      slope.length = torch::where(better, found, slope.length);
    }
    // A piecewise linear critic's slope has no gradient anywhere, so the second derivatives are not asked for again.
    if (slope.ascent.defined()) slope = slope_of(critic, best);
    stride = torch::where(slope.length > before, stride * 1.5, stride * 0.5);
  }
  search.points = best;
  search.end = slope.length;
  search.largest = search.end.max().item<double>();
  return search;
}

}  // namespace sgan
