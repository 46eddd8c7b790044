#include "data/toys.h"

#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "configs/error.h"
#include "run/splitmix64.h"

namespace sgan {
namespace {

using std::numbers::pi;

constexpr double kRadius = 2.0;
constexpr double kSpacing = 2.0;

struct Point {
  double x;
  double y;
};

std::vector<Point> ring(int64_t modes) {
  std::vector<Point> centres;
  for (int64_t k = 0; k < modes; ++k) {
    const double angle = 2.0 * pi * static_cast<double>(k) / static_cast<double>(modes);
    centres.push_back({kRadius * std::cos(angle), kRadius * std::sin(angle)});
  }
  return centres;
}

std::vector<Point> grid(int64_t modes) {
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(modes)));
  if (side * side != modes) {
    throw UserError(fmt::format("data.modes is {}, but a grid needs a square number. Set data.modes to {} or {}.",
                                modes, side * side, (side + 1) * (side + 1)),
                    UserError::Kind::usage);
  }
  const double middle = 0.5 * static_cast<double>(side - 1);
  std::vector<Point> centres;
  for (int64_t k = 0; k < modes; ++k) {
    const auto column = static_cast<double>(k % side);
    const auto row = static_cast<double>(k / side);
    centres.push_back({kSpacing * (column - middle), kSpacing * (row - middle)});
  }
  return centres;
}

Point swiss_roll(double u) {
  const double t = 1.5 * pi * (1.0 + 2.0 * u);
  return {t * std::cos(t) / 7.5, t * std::sin(t) / 7.5};
}

torch::Tensor as_tensor(const std::vector<Point>& points) {
  torch::Tensor result = torch::empty({static_cast<int64_t>(points.size()), 2}, torch::kFloat64);
  auto out = result.accessor<double, 2>();
  for (size_t k = 0; k < points.size(); ++k) {
    out[k][0] = points[k].x;
    out[k][1] = points[k].y;
  }
  return result;
}

// options.count times a noiseless point plus noise.
template <class Draw>
torch::Tensor noisy(const DataOptions& options, SplitMix64& random, Draw draw) {
  std::vector<Point> points;
  points.reserve(options.count);
  for (int64_t i = 0; i < options.count; ++i) {
    const Point point = draw();
    const double dx = options.std * random.normal();
    const double dy = options.std * random.normal();
    points.push_back({point.x + dx, point.y + dy});
  }
  return as_tensor(points).to(torch::kFloat32);
}

}  // namespace

Dataset make_toy(const DataOptions& options, uint64_t seed) {
  TORCH_CHECK(is_planar(options.kind), "not a planar data kind: ", name_of(options.kind));
  TORCH_CHECK(options.count > 0 && options.modes > 0 && options.std >= 0.0, "count ", options.count, ", modes ",
              options.modes, ", std ", options.std);
  SplitMix64 random(seed, 0);
  Dataset result;
  if (options.kind == DataKind::swiss_roll) {
    result.samples = noisy(options, random, [&] { return swiss_roll(random.uniform()); });
    result.description = fmt::format("swiss_roll: {} points, noise std {}", options.count, options.std);
  } else {
    const std::vector<Point> centres = options.kind == DataKind::ring ? ring(options.modes) : grid(options.modes);
    result.samples = noisy(options, random, [&] { return centres[random.below(centres.size())]; });
    result.modes = PlanarModes{as_tensor(centres), options.std};
    result.description = fmt::format("{}: {} points from {} Gaussians of std {}", name_of(options.kind), options.count,
                                     options.modes, options.std);
  }
  return result;
}

}  // namespace sgan
