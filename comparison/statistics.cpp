#include "comparison/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include <boost/math/distributions/non_central_t.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>

#include "run/splitmix64.h"

namespace sgan {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// In double precision: three times as fast as by way of long double, and good to 1e-10.
using NoncentralT = boost::math::non_central_t_distribution<
    double, boost::math::policies::policy<boost::math::policies::promote_double<false>>>;

constexpr int64_t kResamples = 10000;
constexpr uint64_t kBootstrapSeed = 1987;

int64_t count_of(std::span<const double> values) {
  return static_cast<int64_t>(values.size());
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

bool all_equal(std::span<const double> values) {
  return std::ranges::all_of(values, [&](double value) { return value == values.front(); });
}

double largest_deviation(std::span<const double> values, double mean) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value - mean));
  return largest;
}

// The mean and the standard deviation about it; the interval is left open. Deviations are divided by the largest one,
// so that no square over- or underflows.
Interval moments(std::span<const double> values, std::string_view method) {
  if (values.empty()) throw std::invalid_argument("a mean needs at least one value");
  Interval result{mean_of(values), kNaN, kNaN, kNaN, count_of(values), method};
  if (all_equal(values)) {
    result.mean = values.front();
    if (values.size() > 1) result.std = 0;
    return result;
  }
  const double scale = largest_deviation(values, result.mean);
  double squares = 0;
  for (const double value : values) squares += std::pow((value - result.mean) / scale, 2);
  const double std = scale * std::sqrt(squares / static_cast<double>(values.size() - 1));
  if (std::isfinite(std)) result.std = std;
  return result;
}

// Two-sided p of Student's t.
double two_sided_p(double t, int64_t degrees_of_freedom) {
  const boost::math::students_t distribution(static_cast<double>(degrees_of_freedom));
  return 2 * cdf(complement(distribution, std::abs(t)));
}

// The t beyond which the two-sided test at `level` rejects.
double critical_t(double level, int64_t degrees_of_freedom) {
  const boost::math::students_t distribution(static_cast<double>(degrees_of_freedom));
  return quantile(complement(distribution, level / 2));
}

std::vector<double> sorted_resampled_means(std::span<const double> values) {
  SplitMix64 random(kBootstrapSeed);
  std::vector<double> means(kResamples);
  for (double& mean : means) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) sum += values[random.below(values.size())];
    mean = sum / static_cast<double>(values.size());
  }
  std::ranges::sort(means);
  return means;
}

// The value below which a share of the sorted values lies, between neighbours by linear interpolation.
double percentile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - std::floor(place));
}

// Efron's z0: how far the median of the resampled means lies from the mean, in standard normal units. Ties count half.
double median_bias(const std::vector<double>& sorted_means, double mean) {
  const auto [first, last] = std::ranges::equal_range(sorted_means, mean);
  const auto below = static_cast<double>(first - sorted_means.begin());
  const auto ties = static_cast<double>(last - first);
  // Kept off 0 and 1, where z0 would be infinite.
  const double share = std::clamp((below + ties / 2) / kResamples, 0.5 / kResamples, 1 - 0.5 / kResamples);
  return quantile(boost::math::normal(), share);
}

// Efron's a, for a mean: Σ u³ / (6 (Σ u²)^1.5), u the influence of each value by the jackknife, which is proportional
// to its deviation from the mean.
double acceleration(std::span<const double> values, double mean) {
  const double scale = largest_deviation(values, mean);
  double squares = 0, cubes = 0;
  for (const double value : values) {
    const double deviation = (value - mean) / scale;
    squares += deviation * deviation;
    cubes += deviation * deviation * deviation;
  }
  return cubes / (6 * std::pow(squares, 1.5));
}

// The sums of the magnitudes under all their signs.
std::vector<double> signed_sums(std::span<const double> magnitudes) {
  std::vector<double> sums{0};
  for (const double magnitude : magnitudes) {
    const size_t half = sums.size();
    for (size_t i = 0; i < half; ++i) sums.push_back(sums[i] - magnitude);
    for (size_t i = 0; i < half; ++i) sums[i] += magnitude;
  }
  return sums;
}

// The differences, those within the values' own rounding of each other made equal, and of zero made zero.
std::vector<double> differences_of(std::span<const double> strategy, std::span<const double> baseline) {
  std::vector<double> differences(strategy.size());
  double rounding = 0;
  for (size_t i = 0; i < strategy.size(); ++i) {
    differences[i] = strategy[i] - baseline[i];
    rounding = std::max(rounding, kEpsilon * (std::abs(strategy[i]) + std::abs(baseline[i])));
  }
  const auto [least, greatest] = std::ranges::minmax(differences);
  if (greatest - least > 2 * rounding) return differences;
  std::ranges::fill(differences, std::abs(differences.front()) <= rounding ? 0 : differences.front());
  return differences;
}

// A power is a probability: rounding of the tails may leave it just outside.
double probability(double value) {
  return std::clamp(value, 0.0, 1.0);
}

}  // namespace

Interval student_interval(std::span<const double> values) {
  Interval interval = moments(values, "Student's t");
  if (std::isnan(interval.std)) return interval;
  const double half = critical_t(kLevel, interval.n - 1) * interval.std / std::sqrt(static_cast<double>(interval.n));
  interval.low = interval.mean - half;
  interval.high = interval.mean + half;
  return interval;
}

Interval bca_interval(std::span<const double> values) {
  Interval interval = moments(values, "BCa bootstrap");
  if (std::isnan(interval.std)) return interval;
  if (interval.std == 0) {
    interval.low = interval.high = interval.mean;
    return interval;
  }
  const std::vector<double> means = sorted_resampled_means(values);
  const double bias = median_bias(means, interval.mean), skewness = acceleration(values, interval.mean);
  const boost::math::normal normal;
  const auto bound = [&](double share) {
    const double z = bias + quantile(normal, share);
    return percentile(means, cdf(normal, bias + z / (1 - skewness * z)));
  };
  interval.low = bound(kLevel / 2);
  interval.high = bound(1 - kLevel / 2);
  return interval;
}

Interval mean_interval(std::span<const double> values) {
  return count_of(values) < kBootstrapValues ? student_interval(values) : bca_interval(values);
}

PairedDifference paired_difference(std::span<const double> strategy, std::span<const double> baseline,
                                   int64_t comparisons) {
  if (strategy.size() != baseline.size()) throw std::invalid_argument("pairs need as many values on either side");
  if (strategy.empty()) throw std::invalid_argument("a paired difference needs at least one pair");
  const std::vector<double> differences = differences_of(strategy, baseline);
  PairedDifference result{student_interval(differences), kNaN, kNaN, kNaN, kNaN, std::nullopt};
  const double mean = result.mean.mean, std = result.mean.std;
  if (std::isnan(std)) return result;
  const auto n = static_cast<double>(differences.size());
  if (std > 0) {
    result.effect = mean / std;
    result.t = result.effect * std::sqrt(n);
    result.p = two_sided_p(result.t, result.mean.n - 1);
  } else {
    result.effect = result.t = mean == 0 ? 0 : std::copysign(kInfinity, mean);
    result.p = mean == 0 ? 1 : std::exp2(1 - n);
  }
  result.p_corrected = result.p;
  if (sign_flip_can_reject(result.mean.n, comparisons)) result.p_permutation = sign_flip_p(differences);
  return result;
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto known = [&](size_t i) { return std::isnan(p[i]) ? kInfinity : p[i]; };
  std::ranges::stable_sort(order, {}, known);
  std::vector<double> corrected(p.begin(), p.end());
  double largest = 0;  // p values may not fall on the way from the smallest on
  for (size_t place = 0; place < order.size(); ++place) {
    const size_t i = order[place];
    if (std::isnan(p[i])) continue;
    largest = std::max(largest, probability(p[i] * static_cast<double>(p.size() - place)));
    corrected[i] = largest;
  }
  return corrected;
}

double sign_flip_p(std::span<const double> differences) {
  if (differences.empty() || count_of(differences) > kSignFlipPairs) {
    throw std::invalid_argument("the sign-flip test takes 1 to 20 differences");
  }
  double total = 0, magnitude = 0;
  for (const double difference : differences) {
    total += difference;
    magnitude += std::abs(difference);
  }
  const std::vector<double> sums = signed_sums(differences.subspan(1));
  // Sums that rounding alone keeps apart are ties; a little too many ties only makes p too large.
  const double threshold = std::abs(total) - 1e-12 * magnitude;
  const auto as_far =
      std::ranges::count_if(sums, [&](double sum) { return std::abs(differences[0] + sum) >= threshold; });
  return static_cast<double>(as_far) / static_cast<double>(sums.size());
}

bool sign_flip_can_reject(int64_t pairs, int64_t comparisons) {
  if (pairs < 1 || pairs > kSignFlipPairs || comparisons < 1) return false;
  return std::exp2(1 - static_cast<double>(pairs)) <= kLevel / static_cast<double>(comparisons);
}

std::vector<double> ranks(std::span<const double> values) {
  std::vector<double> result;
  for (const double value : values) {
    const auto smaller = std::ranges::count_if(values, [&](double other) { return other < value; });
    const auto equal = std::ranges::count(values, value);
    result.push_back(static_cast<double>(smaller) + static_cast<double>(equal + 1) / 2);
  }
  return result;
}

double paired_t_power(double effect, int64_t pairs, double level) {
  const double critical = critical_t(level, pairs - 1);
  const double noncentrality = std::abs(effect) * std::sqrt(static_cast<double>(pairs));
  const NoncentralT distribution(static_cast<double>(pairs - 1), noncentrality);
  return probability(cdf(complement(distribution, critical)) + cdf(distribution, -critical));
}

std::optional<int64_t> pairs_needed(double effect, double level, int64_t most) {
  if (std::isnan(effect) || effect == 0) return std::nullopt;
  // From 100 on two or three pairs do, whatever the level; larger noncentralities are too much for the series of the
  // cdf.
  effect = std::min(std::abs(effect), 100.0);
  const auto enough = [&](int64_t pairs) { return paired_t_power(effect, pairs, level) >= kPower; };
  int64_t too_few = 1, sufficient = 2;
  while (!enough(sufficient)) {
    if (sufficient >= most) return std::nullopt;
    too_few = sufficient;
    sufficient = std::min(2 * sufficient, most);
  }
  while (sufficient - too_few > 1) {
    const int64_t middle = std::midpoint(too_few, sufficient);
    (enough(middle) ? sufficient : too_few) = middle;
  }
  return sufficient;
}

}  // namespace sgan
