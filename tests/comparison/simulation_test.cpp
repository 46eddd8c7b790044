#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "comparison/statistics.h"
#include "comparison/summary.h"
#include "run/splitmix64.h"

// The statistics' promises, on 2,000 simulated comparisons each, through summarize() as a comparison calls it: a
// baseline and three strategies whose scores are normal, with a part that a seed's runs share. Every rate is of a fixed
// seed, so nothing here fails by chance; its standard error is 0.5 % at 95 %.

namespace sgan {
namespace {

constexpr int64_t kSweeps = 2000;
constexpr int64_t kStep = 100;
constexpr double kBaselineMean = 70;
constexpr size_t kStrategies = 4;

// What n seeds show where every strategy but the baseline has its true mean lower by `gain`. Differences of two runs of
// a seed have the standard deviation √2.
class SimulatedSweeps {
 public:
  SimulatedSweeps(int64_t seeds, double gain, uint64_t stream) : gain_(gain), random_(20, stream) {
    plan_ = {"simulated", "none", {{"none", ""}, {"clip", ""}, {"gp", ""}, {"spectral", ""}}, {}, {"fd"}, {}};
    for (int64_t seed = 0; seed < seeds; ++seed) plan_.seeds.push_back(seed);
    for (const auto& [strategy, changes] : plan_.strategies) {
      for (const int64_t seed : plan_.seeds) results_.push_back(finished_run(strategy, seed));
    }
  }

  Summary next() {
    for (size_t seed = 0; seed < plan_.seeds.size(); ++seed) {
      const double shared = kBaselineMean + 3 * random_.normal();
      for (size_t strategy = 0; strategy < kStrategies; ++strategy) {
        double& score = results_[strategy * plan_.seeds.size() + seed].scores.front().second.front().value;
        score = shared - (strategy == 0 ? 0 : gain_) + random_.normal();
      }
    }
    return summarize(plan_, results_);
  }

 private:
  static RunResult finished_run(const std::string& strategy, int64_t seed) {
    RunResult run;
    run.strategy = strategy;
    run.seed = seed;
    run.outcome = Outcome::finished;
    run.step = run.steps = kStep;
    run.scores = {{"fd", {{kStep, 0}}}};
    run.lower_is_better = {{"fd", true}};
    return run;
  }

  double gain_;
  SplitMix64 random_;
  ComparisonPlan plan_;
  std::vector<RunResult> results_;
};

// What share of so many tries that was, written down for who reads the log.
double rate(const std::string& name, int64_t count, int64_t tries) {
  const double share = static_cast<double>(count) / static_cast<double>(tries);
  const std::string percent = fmt::format("{:.2f} %", 100 * share);
  ::testing::Test::RecordProperty(name, percent);
  std::cout << "  " << name << ": " << percent << " of " << tries << "\n";
  return share;
}

int64_t is_inside(const Interval& interval, double truth) {
  return interval.low <= truth && truth <= interval.high ? 1 : 0;
}

// A strategy that is called better or worse.
bool is_decided(const StrategyScore& strategy) {
  return strategy.verdict == Verdict::better || strategy.verdict == Verdict::worse;
}

TEST(Simulation, IntervalsCoverTheTruth) {
  constexpr double kGain = 1;
  for (const int64_t seeds : {3, 5, 10}) {
    SimulatedSweeps sweeps(seeds, kGain, static_cast<uint64_t>(seeds));
    int64_t mean_covered = 0, difference_covered = 0;
    for (int64_t i = 0; i < kSweeps; ++i) {
      const Summary summary = sweeps.next();
      mean_covered += is_inside(*summary.deciding().strategies[0].mean, kBaselineMean);
      difference_covered += is_inside(summary.deciding().strategies[1].difference->mean, -kGain);
    }
    for (const double coverage :
         {rate(fmt::format("coverage_mean_{}_seeds", seeds), mean_covered, kSweeps),
          rate(fmt::format("coverage_difference_{}_seeds", seeds), difference_covered, kSweeps)}) {
      EXPECT_GE(coverage, 0.93);
      EXPECT_LE(coverage, 0.97);
    }
  }
}

// From 20 values on a mean's interval is the bootstrap's, which Efron calls second-order accurate: it may cover less.
TEST(Simulation, BootstrapIntervalsCoverNearlyAsMuch) {
  SplitMix64 random(20, 4);
  int64_t covered = 0;
  constexpr int64_t kTries = 1000;
  std::vector<double> values(static_cast<size_t>(kBootstrapValues));
  for (int64_t i = 0; i < kTries; ++i) {
    for (double& value : values) value = random.normal();
    covered += is_inside(mean_interval(values), 0);
  }
  const double coverage = rate("coverage_bootstrap_20_values", covered, kTries);
  EXPECT_GE(coverage, 0.91);
  EXPECT_LE(coverage, 0.97);
}

TEST(Simulation, FewSweepsOfEqualStrategiesFindADifference) {
  for (const int64_t seeds : {3, 5, 8}) {
    SimulatedSweeps sweeps(seeds, 0, 100 + static_cast<uint64_t>(seeds));
    int64_t wrong = 0;
    for (int64_t i = 0; i < kSweeps; ++i) {
      wrong += std::ranges::any_of(sweeps.next().deciding().strategies, is_decided) ? 1 : 0;
    }
    const double wrong_share = rate(fmt::format("family_wise_false_rejection_{}_seeds", seeds), wrong, kSweeps);
    EXPECT_LE(wrong_share, 0.07);
    EXPECT_GE(wrong_share, 0.02);  // far less would be power given away
  }
}

TEST(Simulation, EightSeedsFindAnEffectOfTwo) {
  SimulatedSweeps sweeps(8, 2 * std::sqrt(2.0), 208);
  int64_t found = 0, any = 0, all = 0;
  for (int64_t i = 0; i < kSweeps; ++i) {
    int64_t better = 0;
    const Summary summary = sweeps.next();
    for (const StrategyScore& strategy : summary.deciding().strategies) {
      ASSERT_NE(strategy.verdict, Verdict::worse);
      better += strategy.verdict == Verdict::better ? 1 : 0;
    }
    found += better;
    any += better > 0 ? 1 : 0;
    all += better == 3 ? 1 : 0;
  }
  EXPECT_GE(rate("power_each_pair", found, 3 * kSweeps), 0.8);
  EXPECT_GE(rate("power_any_pair", any, kSweeps), 0.8);
  EXPECT_GE(rate("power_all_pairs", all, kSweeps), 0.8);
}

TEST(Simulation, TheSeedsSaidToBeNeededFindTheEffect) {
  constexpr double kEffect = 1, kOneOfThree = kLevel / 3;
  const auto pairs = pairs_needed(kEffect, kOneOfThree);
  ASSERT_TRUE(pairs);
  SplitMix64 random(20, 300);
  int64_t found = 0;
  for (int64_t i = 0; i < kSweeps; ++i) {
    std::vector<double> strategy, baseline;
    for (int64_t pair = 0; pair < *pairs; ++pair) {
      baseline.push_back(kBaselineMean + random.normal());
      strategy.push_back(baseline.back() + kEffect + random.normal());
    }
    found += paired_difference(strategy, baseline, 3).p <= kOneOfThree ? 1 : 0;
  }
  const double power = rate(fmt::format("power_at_{}_pairs_said_to_be_needed", *pairs), found, kSweeps);
  EXPECT_GE(power, 0.76);
  EXPECT_LE(power, 0.86);
}

}  // namespace
}  // namespace sgan
