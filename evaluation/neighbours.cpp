#include "evaluation/neighbours.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace sgan {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr int64_t kGrain = 64;  // rows or columns of a block that are worth a thread

void check(const torch::Tensor& points, int64_t least) {
  TORCH_CHECK(points.dim() == 2 && points.size(0) >= least && points.size(1) > 0 && points.size(1) <= int64_t{1} << 20,
              "points must be (N, D), 0 < D <= 2^20, N at least ", least, ", got ", points.sizes());
  TORCH_CHECK(points.scalar_type() == torch::kFloat32 && points.device().is_cpu(),
              "points must be float32 on the CPU, got ", points.options());
  TORCH_CHECK(points.isfinite().all().item<bool>(), "points must be finite");
}

// Summed in the same order wherever a pair is met, and symmetric: so ties stay ties.
double squared_distance(const float* x, const float* y, int64_t size) {
  constexpr int64_t kLanes = 8;
  std::array<double, kLanes> sums{};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double difference = static_cast<double>(x[i + lane]) - static_cast<double>(y[i + lane]);
      sums[static_cast<size_t>(lane)] += difference * difference;
    }
  }
  for (int64_t lane = 0; i + lane < size; ++lane) {
    const double difference = static_cast<double>(x[i + lane]) - static_cast<double>(y[i + lane]);
    sums[static_cast<size_t>(lane)] += difference * difference;
  }
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

// The least float above a value, which is not negative.
float above(double value) {
  return std::nextafter(static_cast<float>(value), std::numeric_limits<float>::infinity());
}

struct Range {
  int64_t begin;
  int64_t end;

  int64_t size() const { return end - begin; }
};

std::vector<Range> blocks_of(int64_t count, int64_t rows) {
  TORCH_CHECK(rows > 0, "blocks need rows, got ", rows);
  std::vector<Range> blocks;
  for (int64_t begin = 0; begin < count; begin += rows) blocks.push_back({begin, std::min(begin + rows, count)});
  return blocks;
}

// Where and in what unit points are compared: distances are invariant to the shift, and the scale, a power of two,
// costs no digits. It keeps norms below 1, so that no product overflows.
struct Frame {
  torch::Tensor centre;  // (D) float64
  double scale = 1.0;

  torch::Tensor move(const torch::Tensor& points) const { return (points.to(torch::kFloat64) - centre) * scale; }
};

constexpr int64_t kCopyRows = 1024;  // that are widened to float64 at a time

Frame frame_of(const std::vector<torch::Tensor>& sets) {
  auto sum = at::zeros({sets.front().size(1)}, torch::kFloat64);
  int64_t count = 0;
  for (const auto& set : sets) {
    for (const auto& block : set.split(kCopyRows)) sum += block.to(torch::kFloat64).sum(0);
    count += set.size(0);
  }
  Frame frame{.centre = sum / static_cast<double>(count)};
  double largest = 0;
  for (const auto& set : sets) {
    for (const auto& block : set.split(kCopyRows)) {
      largest = std::max(largest, frame.move(block).norm(2, {1}).max().item<double>());
    }
  }
  if (largest > 0) frame.scale = std::exp2(-std::ceil(std::log2(largest)) - 1);
  return frame;
}

// Points with what bounds their squared distances, in units of the frame, from float32 products of the moved points.
//
// Let u = 2⁻²⁴ be the roundoff of float32, x and y the points as moved exactly, x̃ and ỹ as stored, N = ‖x̃‖² + ‖ỹ‖².
// Rounding coordinates moves ‖x − y‖ by u(‖x̃‖ + ‖ỹ‖) at most, hence its square by 4uN. A product in float32 is off by
// γ‖x̃‖‖ỹ‖ ≤ γN/2 in any order of summation, γ = Du/(1 − Du) (Higham 2002, §3.1). Adding up ‖x̃‖² + ‖ỹ‖² − 2x̃ᵀỹ in
// float32 costs 4uN. So the square is within aN of that sum, where a = γ + 16u leaves 8u for terms of second order and
// for the float64 of squared_distance, and 1e-30 covers what underflows.
class PointSet {
 public:
  PointSet(const torch::Tensor& points, const Frame& frame)
      : points_(points.contiguous()), moved_(at::empty(points.sizes(), torch::kFloat32)) {
    constexpr double kRoundoff = 0x1p-24;
    constexpr double kUnderflow = 1e-30;
    const double product = static_cast<double>(dimension()) * kRoundoff;
    const double slack = product / (1 - product) + 16 * kRoundoff;
    auto squares = at::empty({size()}, torch::kFloat64);
    for (const auto& range : blocks_of(size(), kCopyRows)) {
      auto block = moved_.slice(0, range.begin, range.end);
      block.copy_(frame.move(points_.slice(0, range.begin, range.end)));
      squares.slice(0, range.begin, range.end).copy_(block.to(torch::kFloat64).square().sum(1));
    }
    low_ = ((1 - slack) * squares - kUnderflow).to(torch::kFloat32);
    high_ = ((1 + slack) * squares + kUnderflow).to(torch::kFloat32);
  }

  int64_t size() const { return points_.size(0); }
  int64_t dimension() const { return points_.size(1); }
  torch::Tensor moved(Range range) const { return moved_.slice(0, range.begin, range.end); }
  const float* row(int64_t index) const { return points_.const_data_ptr<float>() + index * dimension(); }
  const float* low() const { return low_.const_data_ptr<float>(); }
  const float* high() const { return high_.const_data_ptr<float>(); }

 private:
  torch::Tensor points_;  // (N, D)
  torch::Tensor moved_;   // (N, D)
  torch::Tensor low_;     // (N), (1 − a)‖x̃‖²
  torch::Tensor high_;    // (N), (1 + a)‖x̃‖²
};

float bound(float row, float column, float product) {
  return (row + column) - 2 * product;
}

// The products of two blocks of points, in memory that is used again.
class Products {
 public:
  explicit Products(int64_t block_rows) : block_rows_(block_rows) {}

  // Row-major (rows.size(), columns.size()), until the next call.
  const float* operator()(const PointSet& a, Range rows, const PointSet& b, Range columns) {
    const int64_t size = rows.size() * columns.size();
    if (!memory_.defined()) {
      memory_ = at::empty({std::min(block_rows_, a.size()) * std::min(block_rows_, b.size())}, torch::kFloat32);
    }
    auto block = memory_.narrow(0, 0, size).view({rows.size(), columns.size()});
    at::mm_out(block, a.moved(rows), b.moved(columns).t());
    return block.const_data_ptr<float>();
  }

 private:
  int64_t block_rows_;
  torch::Tensor memory_;
};

// Calls visit(column, lower bound) for each column of a row whose lower bound is under the row's limit or its own.
template <typename Visit>
void each_under(const float* products, float row_low, float row_limit, std::span<const float> lows,
                std::span<const float> limits, const Visit& visit) {
  constexpr size_t kTogether = 64;  // almost always none is, which one branch for many columns tells
  const auto under = [&](size_t j) { return bound(row_low, lows[j], products[j]) < std::max(row_limit, limits[j]); };
  for (size_t begin = 0; begin < lows.size(); begin += kTogether) {
    const size_t end = std::min(begin + kTogether, lows.size());
    int any = 0;
    for (size_t j = begin; j < end; ++j) any |= static_cast<int>(under(j));
    if (any == 0) continue;
    for (size_t j = begin; j < end; ++j) {
      if (under(j)) visit(static_cast<int64_t>(j), bound(row_low, lows[j], products[j]));
    }
  }
}

struct Neighbour {
  double squared;
  int64_t index;

  auto operator<=>(const Neighbour&) const = default;
};

// The search for the k nearest points of each query. A pair is computed exactly unless its lower bound shows that it is
// not among the k best so far.
class NeighbourSearch {
 public:
  NeighbourSearch(const PointSet& queries, const PointSet& points, const Frame& frame, int64_t k, int64_t block_rows)
      : queries_(queries),
        points_(points),
        same_(&queries == &points),
        unit_(frame.scale * frame.scale),
        k_(static_cast<size_t>(k)),
        best_(static_cast<size_t>(queries.size() * k),
              {std::numeric_limits<double>::infinity(), std::numeric_limits<int64_t>::max()}),
        limits_(static_cast<size_t>(queries.size()), std::numeric_limits<float>::infinity()),
        no_limits_(static_cast<size_t>(std::min(block_rows, points.size())), kNever),
        block_rows_(block_rows),
        products_(block_rows) {}

  // Per query the k best, ascending by distance, then index.
  std::vector<Neighbour> run() && {
    const auto queries = blocks_of(queries_.size(), block_rows_);
    const auto points = blocks_of(points_.size(), block_rows_);
    // With itself first: it leaves every point of the block a limit that rules out most of the others.
    for (size_t i = 0; same_ && i < queries.size(); ++i) search_rows(queries[i], queries[i]);
    for (size_t i = 0; i < queries.size(); ++i) {
      for (size_t j = same_ ? i + 1 : 0; j < points.size(); ++j) {
        const float* products = search_rows(queries[i], points[j]);
        if (same_) search_columns(products, queries[i], points[j]);
      }
    }
    return std::move(best_);
  }

 private:
  struct Candidate {
    float lower;
    int64_t index;

    auto operator<=>(const Candidate&) const = default;
  };

  const float* search_rows(Range rows, Range columns) {
    const float* products = products_(queries_, rows, points_, columns);
    const auto lows = lows_of(points_, columns);
    const auto no_limits = std::span(no_limits_).first(lows.size());
    at::parallel_for(0, rows.size(), kGrain, [&](int64_t begin, int64_t end) {
      std::vector<Candidate> candidates;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t query = rows.begin + i;
        each_under(products + i * columns.size(), queries_.low()[query], limit(query), lows, no_limits,
                   [&](int64_t j, float lower) {
                     add(candidates, query, {lower, columns.begin + j});
                   });
        settle(query, candidates);
      }
    });
    return products;
  }

  // The same pairs seen from the other side: the columns are the queries. Both sets are one.
  void search_columns(const float* products, Range rows, Range columns) {
    at::parallel_for(0, columns.size(), kGrain, [&](int64_t begin, int64_t end) {
      const Range part{columns.begin + begin, columns.begin + end};
      const auto lows = lows_of(queries_, part);
      const auto limits = std::span(limits_).subspan(static_cast<size_t>(part.begin), lows.size());
      std::vector<std::vector<Candidate>> candidates(lows.size());
      for (int64_t i = 0; i < rows.size(); ++i) {
        const int64_t point = rows.begin + i;
        each_under(products + i * columns.size() + begin, points_.low()[point], kNever, lows, limits,
                   [&](int64_t j, float lower) {
                     add(candidates[static_cast<size_t>(j)], part.begin + j, {lower, point});
                   });
      }
      for (size_t j = 0; j < candidates.size(); ++j) settle(part.begin + static_cast<int64_t>(j), candidates[j]);
    });
  }

  static std::span<const float> lows_of(const PointSet& set, Range range) {
    return {set.low() + range.begin, static_cast<size_t>(range.size())};
  }

  std::span<Neighbour> best(int64_t query) { return std::span(best_).subspan(static_cast<size_t>(query) * k_, k_); }
  float limit(int64_t query) const { return limits_[static_cast<size_t>(query)]; }

  void add(std::vector<Candidate>& candidates, int64_t query, Candidate candidate) const {
    if (!same_ || query != candidate.index) candidates.push_back(candidate);
  }

  // By ascending lower bound, so that the limit falls as fast as it can.
  void settle(int64_t query, std::vector<Candidate>& candidates) {
    std::ranges::make_heap(candidates, std::greater{});
    while (!candidates.empty() && candidates.front().lower < limit(query)) {
      std::ranges::pop_heap(candidates, std::greater{});
      compare(query, candidates.back().index);
      candidates.pop_back();
    }
    candidates.clear();
  }

  void compare(int64_t query, int64_t point) {
    const Neighbour found{squared_distance(queries_.row(query), points_.row(point), points_.dimension()), point};
    const auto list = best(query);
    if (!(found < list.back())) return;
    const auto place = std::ranges::upper_bound(list, found);
    std::move_backward(place, list.end() - 1, list.end());
    *place = found;
    // Within one set only distances are asked for, and none is below 0: equal points need no further comparison.
    const double worst = list.back().squared;
    limits_[static_cast<size_t>(query)] = same_ && worst == 0 ? kNever : above(worst * unit_);
  }

  const PointSet& queries_;
  const PointSet& points_;
  bool same_;    // each point searches among the others
  double unit_;  // squared distances in units of the frame
  size_t k_;
  std::vector<Neighbour> best_;
  std::vector<float> limits_;  // above the k-th best of each query
  std::vector<float> no_limits_;
  int64_t block_rows_;
  Products products_;
};

// (N, k) float64, ascending.
torch::Tensor squared_neighbour_distances(const torch::Tensor& points, int64_t k, int64_t block_rows) {
  TORCH_CHECK(k > 0, "neighbours are counted from 1, got ", k);
  check(points, k + 1);
  const Frame frame = frame_of({points});
  const PointSet set(points, frame);
  const auto found = NeighbourSearch(set, set, frame, k, block_rows).run();
  auto squared = at::empty({points.size(0), k}, torch::kFloat64);
  std::ranges::transform(found, squared.mutable_data_ptr<double>(), &Neighbour::squared);
  return squared;
}

// Squared radii in units of a frame.
std::vector<double> in_units(const torch::Tensor& squared_radii, const Frame& frame) {
  const auto scaled = (squared_radii * (frame.scale * frame.scale)).contiguous();
  return {scaled.const_data_ptr<double>(), scaled.const_data_ptr<double>() + scaled.numel()};
}

// A real and a generated point, whose distance is computed only where its bounds do not tell.
class Pair {
 public:
  Pair(const PointSet& real, int64_t r, const PointSet& fake, int64_t f, double unit, float lower, float product)
      : x_(real.row(r)),
        y_(fake.row(f)),
        dimension_(real.dimension()),
        unit_(unit),
        lower_(lower),
        upper_(bound(real.high()[r], fake.high()[f], product)) {}

  bool within(double squared_radius) {
    return lower_ <= squared_radius && (upper_ < squared_radius || squared() <= squared_radius);
  }
  bool strictly_within(double squared_radius) {
    return lower_ < squared_radius && (upper_ < squared_radius || squared() < squared_radius);
  }

 private:
  double squared() {
    if (!squared_) squared_ = squared_distance(x_, y_, dimension_) * unit_;
    return *squared_;
  }

  const float* x_;
  const float* y_;
  int64_t dimension_;
  double unit_;
  double lower_;
  double upper_;
  std::optional<double> squared_;
};

class ManifoldComparison {
 public:
  ManifoldComparison(const Manifold& real, const Manifold& fake, const Frame& frame)
      : real_(real.points, frame),
        fake_(fake.points, frame),
        unit_(frame.scale * frame.scale),
        real_precision_(in_units(real.squared_radius_precision, frame)),
        real_density_(in_units(real.squared_radius_density, frame)),
        fake_precision_(in_units(fake.squared_radius_precision, frame)),
        precise_(fake_precision_.size(), 0),
        recalled_(real_precision_.size(), 0),
        inside_(real_precision_.size(), 0) {
    for (const double radius : fake_precision_) fake_limits_.push_back(above(radius));
  }

  ManifoldScores run(int64_t k_density, int64_t block_rows) && {
    Products products(block_rows);
    for (const auto& rows : blocks_of(real_.size(), block_rows)) {
      for (const auto& columns : blocks_of(fake_.size(), block_rows)) {
        const float* block = products(real_, rows, fake_, columns);
        at::parallel_for(0, rows.size(), kGrain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) compare(rows.begin + i, columns, block + i * columns.size());
        });
      }
    }
    const auto share = [](const auto& flags) {
      return static_cast<double>(std::ranges::count_if(flags, std::identity{})) / static_cast<double>(flags.size());
    };
    const auto pairs = static_cast<double>(std::accumulate(inside_.begin(), inside_.end(), int64_t{0}));
    return {.precision = share(precise_),
            .recall = share(recalled_),
            .density = pairs / static_cast<double>(k_density * fake_.size()),
            .coverage = share(inside_)};
  }

 private:
  // One real point with a block of generated ones.
  void compare(int64_t real, Range columns, const float* products) {
    const auto r = static_cast<size_t>(real);
    const auto count = static_cast<size_t>(columns.size());
    const auto limits = std::span(fake_limits_).subspan(static_cast<size_t>(columns.begin), count);
    const float limit = above(std::max(real_precision_[r], real_density_[r]));
    each_under(products, real_.low()[real], limit, {fake_.low() + columns.begin, count}, limits,
               [&](int64_t j, float lower) {
                 const int64_t fake = columns.begin + j;
                 const auto f = static_cast<size_t>(fake);
                 Pair pair(real_, real, fake_, fake, unit_, lower, products[j]);
                 if (recalled_[r] == 0 && pair.within(fake_precision_[f])) recalled_[r] = 1;
                 // Rows of several threads meet in a column.
                 std::atomic_ref precise(precise_[f]);
                 if (precise.load(std::memory_order_relaxed) == 0 && pair.within(real_precision_[r])) {
                   precise.store(1, std::memory_order_relaxed);
                 }
                 if (pair.strictly_within(real_density_[r])) ++inside_[r];
               });
  }

  PointSet real_;
  PointSet fake_;
  double unit_;
  std::vector<double> real_precision_;  // squared radii, in units of the frame
  std::vector<double> real_density_;
  std::vector<double> fake_precision_;
  std::vector<float> fake_limits_;  // above the squared radii
  std::vector<uint8_t> precise_;    // of each generated point: is in a ball
  std::vector<uint8_t> recalled_;   // of each real point: is in a ball
  std::vector<int64_t> inside_;     // of each real point: how many are in its ball
};

}  // namespace

Nearest nearest(const torch::Tensor& queries, const torch::Tensor& points, int64_t block_rows) {
  torch::NoGradGuard no_grad;
  check(queries, 1);
  check(points, 1);
  TORCH_CHECK(queries.size(1) == points.size(1), "queries and points must have one size, got ", queries.sizes(),
              " and ", points.sizes());
  const Frame frame = frame_of({points, queries});
  const PointSet searched(points, frame);
  const PointSet asked(queries, frame);
  const auto found = NeighbourSearch(asked, searched, frame, 1, block_rows).run();
  Nearest result{.distance = at::empty({queries.size(0)}, torch::kFloat64),
                 .index = at::empty({queries.size(0)}, torch::kLong)};
  std::ranges::transform(found, result.distance.mutable_data_ptr<double>(),
                         [](const Neighbour& neighbour) { return std::sqrt(neighbour.squared); });
  std::ranges::transform(found, result.index.mutable_data_ptr<int64_t>(), &Neighbour::index);
  return result;
}

torch::Tensor neighbour_distances(const torch::Tensor& points, int64_t k, int64_t block_rows) {
  torch::NoGradGuard no_grad;
  return squared_neighbour_distances(points, k, block_rows).sqrt_();
}

Manifold make_manifold(const torch::Tensor& points, const ManifoldOptions& options) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(options.k_precision > 0 && options.k_density > 0, "neighbours are counted from 1, got ",
              options.k_precision, " and ", options.k_density);
  const auto squared =
      squared_neighbour_distances(points, std::max(options.k_precision, options.k_density), options.block_rows);
  return {.points = points,
          .squared_radius_precision = squared.select(1, options.k_precision - 1).contiguous(),
          .squared_radius_density = squared.select(1, options.k_density - 1).contiguous(),
          .options = options};
}

ManifoldScores manifold_scores(const Manifold& real, const Manifold& fake) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(real.points.size(1) == fake.points.size(1), "both sets must have points of one size, got ",
              real.points.sizes(), " and ", fake.points.sizes());
  TORCH_CHECK(real.options.k_precision == fake.options.k_precision && real.options.k_density == fake.options.k_density,
              "both manifolds must be made with the same k");
  const Frame frame = frame_of({real.points, fake.points});
  return ManifoldComparison(real, fake, frame).run(real.options.k_density, real.options.block_rows);
}

ManifoldScores manifold_scores(const torch::Tensor& real, const torch::Tensor& fake, const ManifoldOptions& options) {
  return manifold_scores(make_manifold(real, options), make_manifold(fake, options));
}

}  // namespace sgan
