#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

// Statistics of few repetitions. Every function is deterministic; where numbers are drawn, from a fixed seed.
//
// Student's t is exact for normal data, however few. With five seeds or so normality cannot be checked, and no method
// gets around that: a bootstrap of few values covers far less than it promises, and a permutation test of few pairs
// cannot reach a small p at all. Both are used only where they have enough to work with.

namespace sgan {

// Two-sided level of every test; the intervals have 1 − kLevel.
inline constexpr double kLevel = 0.05;
// Power that a number of seeds is asked for.
inline constexpr double kPower = 0.8;
// Values from which the bootstrap's interval is used for a mean.
inline constexpr int64_t kBootstrapValues = 20;
// Pairs up to which the sign-flip test is enumerated in full: 2^19 sums.
inline constexpr int64_t kSignFlipPairs = 20;

// A mean and its 95 % confidence interval; one value alone has none (low and high are NaN).
struct Interval {
  double mean;
  double low;
  double high;
  double std;  // with n − 1; NaN for one value
  int64_t n;
  std::string_view method;  // "Student's t", "BCa bootstrap"
};

// What n paired seeds say of a difference, strategy minus baseline.
struct PairedDifference {
  Interval mean;       // by Student's t, so that it leaves 0 out exactly where p < 0.05
  double t;            // of the paired t test; ±infinity where all differences are equal and not zero
  double p;            // two-sided; NaN for one pair
  double p_corrected;  // Holm's, over the strategies compared with the baseline; equals p until corrected
  double effect;       // Cohen's d_z: mean over std of the differences; ±infinity where all are equal and not zero
  std::optional<double> p_permutation;  // exact sign-flip test, where it can reach its level
};

// values: at least one, all finite. Errors: std::invalid_argument for none. What overflows (values of 1e307 and more)
// has NaN for its interval and std.

// Mean ± t · std / √n with n − 1 degrees of freedom. Student, "The probable error of a mean", Biometrika 6, 1908.
Interval student_interval(std::span<const double> values);

// The bias-corrected and accelerated bootstrap: percentiles of the means of 10,000 resamples, moved by their median
// bias and by the skewness of the jackknife. Efron, "Better bootstrap confidence intervals", JASA 82, 1987. Of few
// values it covers too little: 20 normal ones about 93 % in place of 95 %.
Interval bca_interval(std::span<const double> values);

// Student's interval below kBootstrapValues values, the bootstrap's from there on.
Interval mean_interval(std::span<const double> values);

// The paired t test (Student 1908) of strategy − baseline: pair i is of one seed, equal lengths ≥ 1. d_z as Lakens,
// "Calculating and reporting effect sizes", Frontiers in Psychology 4, 2013, names it: it is relative to the noise of
// the differences, is itself very uncertain with few pairs (three pairs of a true 1 often show 0.3 or 4), and is too
// large on average.
// Differences that are equal to within the rounding of the values count as equal: then the t test has no noise to hold
// the mean against, and p is the sign-flip test's, 2^(1−n), or 1 where they are zero.
// comparisons: how many strategies are compared with the baseline; it decides whether the permutation test is made.
PairedDifference paired_difference(std::span<const double> strategy, std::span<const double> baseline,
                                   int64_t comparisons);

// Holm's step-down correction: with it the probability of one false rejection or more among all the tests stays below
// the level, whatever their dependence. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
// Journal of Statistics 6, 1979. NaN, a test that could not be made, counts in the family and stays NaN.
std::vector<double> holm(std::span<const double> p);

// The sign-flip permutation test, two-sided (Fisher, "The design of experiments", 1935): the share of the 2^n ways to
// give the differences signs whose sum is as far from zero as the one seen, ties to within rounding included. Exact
// where the differences are symmetric about zero under the null hypothesis. Errors: std::invalid_argument for none or
// more than kSignFlipPairs.
double sign_flip_p(std::span<const double> differences);

// Whether that test can reject at level 0.05 over the number of comparisons, the strictest that Holm's correction asks
// for: its smallest p is 2^(1−n). False also beyond kSignFlipPairs.
bool sign_flip_can_reject(int64_t pairs, int64_t comparisons);

// Ranks from 1, the smallest value first; equal values share the mean of their ranks.
std::vector<double> ranks(std::span<const double> values);

// The probability that the two-sided paired t test at `level` rejects where the true d_z is `effect`, by the noncentral
// t distribution with noncentrality d_z √n. Cohen, "Statistical power analysis for the behavioral sciences", 1988.
double paired_t_power(double effect, int64_t pairs, double level);

// The fewest pairs, of at least two, with that power at 80 % or more; none where `most` pairs are too few, or the
// effect is 0 or NaN. An effect estimated from few seeds is uncertain, and so is what comes out of it here: from three
// seeds it is an order of magnitude, no plan.
std::optional<int64_t> pairs_needed(double effect, double level, int64_t most = 1000);

}  // namespace sgan
