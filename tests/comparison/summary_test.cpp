#include "comparison/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "configs/error.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// A finished run with that score at step 300, of 10 ms a step.
RunResult run_of(const std::string& strategy, int64_t seed, double score, const std::string& name = "fd_toy") {
  RunResult run;
  run.strategy = strategy;
  run.seed = seed;
  run.outcome = Outcome::finished;
  run.step = run.steps = 300;
  run.scores = {{name, {{100, 500}, {200, 95}, {300, score}}}};
  run.lower_is_better = {{name, true}};
  run.metrics = {{{"step", 300}, {"ms_per_step", 10.0}}};
  run.ms_per_step = 10;
  run.peak_memory_bytes = 1 << 20;
  return run;
}

// One that ended without a score that counts.
RunResult ended(RunResult run, Outcome outcome, const std::string& why = "") {
  run.outcome = outcome;
  run.why = why;
  if (outcome != Outcome::collapsed) run.scores.front().second.pop_back();
  return run;
}

struct Example {
  ComparisonPlan plan;
  std::vector<RunResult> results;

  RunResult& run(size_t strategy, size_t seed) { return results[strategy * plan.seeds.size() + seed]; }
  Summary summary() const { return summarize(plan, results); }
};

Example example_of(const std::vector<std::pair<std::string, std::vector<double>>>& scores) {
  Example example;
  example.plan = {"toy", scores.front().first, {}, {}, {"fd"}, {}};
  for (size_t seed = 0; seed < scores.front().second.size(); ++seed) {
    example.plan.seeds.push_back(static_cast<int64_t>(seed));
  }
  for (const auto& [strategy, values] : scores) {
    example.plan.strategies.emplace_back(strategy, "{strategy: " + strategy + "}");
    for (size_t seed = 0; seed < values.size(); ++seed) {
      example.results.push_back(run_of(strategy, static_cast<int64_t>(seed), values[seed]));
    }
  }
  return example;
}

// Differences to none: spectral −20, −18, −22; gp 5, −5, 5; clip 40 at every seed.
Example four_strategies() {
  return example_of(
      {{"none", {80, 90, 100}}, {"spectral", {60, 72, 78}}, {"gp", {85, 85, 105}}, {"clip", {120, 130, 140}}});
}

// Strategy 1 is better by 20 in 5 seeds, clearly.
Example clear_pair() {
  return example_of({{"none", {80, 90, 100, 85, 95}}, {"spectral", {60, 72, 78, 64, 76}}});
}

std::string error_of(const Example& example) {
  try {
    example.summary();
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(Summarize, GivesHandValues) {
  const Summary summary = four_strategies().summary();
  const ScoreSummary& score = summary.deciding();
  EXPECT_EQ(score.name, "fd_toy");
  EXPECT_EQ(summary.steps, 300);
  const StrategyScore &none = score.strategies[0], &spectral = score.strategies[1];
  EXPECT_EQ(none.mean->mean, 90);
  EXPECT_NEAR(none.mean->high, 90 + 4.3026527 * 10 / std::sqrt(3), 1e-6);
  EXPECT_FALSE(none.difference);
  EXPECT_EQ(none.verdict, Verdict::baseline);

  const PairedDifference& difference = *spectral.difference;
  EXPECT_EQ(difference.mean.mean, -20);
  EXPECT_DOUBLE_EQ(difference.effect, -10);
  const double p = 1 - std::sqrt(300.0 / 302.0);  // of two degrees of freedom, t² = 300
  EXPECT_NEAR(difference.p, p, 1e-14);
  EXPECT_NEAR(difference.p_corrected, 3 * p, 1e-14);
  EXPECT_EQ(spectral.verdict, Verdict::better);
  EXPECT_EQ(spectral.seeds_needed, std::nullopt);
}

TEST(Summarize, CorrectsOverTheStrategiesAfterHolm) {
  const Summary summary = four_strategies().summary();
  const auto& strategies = summary.deciding().strategies;
  EXPECT_NEAR(strategies[2].difference->p, 2.0 / 3, 1e-14);  // t = 0.5
  EXPECT_NEAR(strategies[2].difference->p_corrected, 2.0 / 3, 1e-14);
  EXPECT_EQ(strategies[2].verdict, Verdict::undecided);
  EXPECT_EQ(strategies[2].seeds_needed, pairs_needed(5 / std::sqrt(300), 0.05 / 3));
  EXPECT_EQ(strategies[3].difference->p, 0.25);  // a constant difference, by the sign-flip test
  EXPECT_DOUBLE_EQ(strategies[3].difference->p_corrected, 0.5);
  EXPECT_EQ(strategies[3].verdict, Verdict::undecided);
  EXPECT_EQ(strategies[3].seeds_needed, std::nullopt);
}

TEST(Summarize, CountsStrategiesThatFailedThroughoutInTheCorrection) {
  Example example = four_strategies();
  for (size_t seed = 0; seed < 3; ++seed) {
    for (const size_t strategy : {2u, 3u})
      example.run(strategy, seed) = ended(example.run(strategy, seed), Outcome::failed);
  }
  const Summary summary = example.summary();
  const PairedDifference& difference = *summary.deciding().strategies[1].difference;
  EXPECT_NEAR(difference.p_corrected, 3 * difference.p, 1e-14);
  EXPECT_EQ(summary.deciding().strategies[2].verdict, Verdict::too_few);
  EXPECT_FALSE(summary.deciding().strategies[2].mean);
}

TEST(Summarize, RanksWithinEachSeed) {
  const Summary summary = four_strategies().summary();
  const auto& strategies = summary.deciding().strategies;
  EXPECT_DOUBLE_EQ(*strategies[0].rank, 7.0 / 3);
  EXPECT_DOUBLE_EQ(*strategies[1].rank, 1);
  EXPECT_DOUBLE_EQ(*strategies[2].rank, 8.0 / 3);
  EXPECT_DOUBLE_EQ(*strategies[3].rank, 4);
}

TEST(Summarize, PairsBySeedWhereBothFinished) {
  Example example = clear_pair();
  example.run(0, 1) = ended(example.run(0, 1), Outcome::diverged, "training has diverged: loss_d is NaN at step 200");
  example.run(1, 4) = ended(example.run(1, 4), Outcome::failed, "killed by signal 9");
  const Summary summary = example.summary();
  const StrategyScore &none = summary.deciding().strategies[0], &spectral = summary.deciding().strategies[1];
  EXPECT_THAT(none.values, ElementsAre(80, std::nullopt, 100, 85, 95));
  EXPECT_EQ(none.mean->n, 4);
  EXPECT_EQ(none.mean->mean, 90);
  EXPECT_EQ(spectral.mean->n, 4);
  EXPECT_EQ(spectral.difference->mean.n, 3);  // seeds 0, 2, 3
  EXPECT_DOUBLE_EQ(spectral.difference->mean.mean, (-20 - 22 - 21) / 3.0);
  EXPECT_EQ(summary.strategies[0].diverged, 1);
  EXPECT_EQ(summary.strategies[1].failed, 1);
  EXPECT_EQ(summary.strategies[1].runs(), 5);
  EXPECT_THAT(summary.strategies[0].troubles, ElementsAre("seed 1: training has diverged: loss_d is NaN at step 200"));
  EXPECT_THAT(summary.strategies[1].troubles, ElementsAre("seed 4: failed: killed by signal 9"));
  EXPECT_EQ(spectral.verdict, Verdict::better);  // one failure each
}

TEST(Summarize, GivesFailuresTheLastRanks) {
  Example example = four_strategies();
  example.run(1, 0) = ended(example.run(1, 0), Outcome::diverged);
  example.run(2, 0) = ended(example.run(2, 0), Outcome::failed);
  const Summary summary = example.summary();
  const auto& strategies = summary.deciding().strategies;
  EXPECT_DOUBLE_EQ(*strategies[0].rank, (1 + 3 + 2) / 3.0);
  EXPECT_DOUBLE_EQ(*strategies[1].rank, (3.5 + 1 + 1) / 3.0);
  EXPECT_DOUBLE_EQ(*strategies[2].rank, (3.5 + 2 + 3) / 3.0);
}

TEST(Summarize, CallsNobodyBetterWhoFailedMoreOften) {
  for (const Outcome outcome : {Outcome::diverged, Outcome::failed, Outcome::collapsed}) {
    Example example = clear_pair();
    example.run(1, 3) = ended(example.run(1, 3), outcome);
    const StrategyScore spectral = example.summary().deciding().strategies[1];
    EXPECT_LT(spectral.difference->p_corrected, 0.01);
    EXPECT_EQ(spectral.failures, 1);
    EXPECT_EQ(spectral.verdict, Verdict::undecided) << name_of(outcome);
    EXPECT_EQ(spectral.seeds_needed, std::nullopt);

    example.run(0, 0) = ended(example.run(0, 0), Outcome::failed);
    EXPECT_EQ(example.summary().deciding().strategies[1].verdict, Verdict::better) << name_of(outcome);
  }
}

TEST(Summarize, CallsNoStrategyWorseThanABaselineThatFailedMoreOften) {
  Example example = example_of({{"none", {60, 72, 78, 64, 76}}, {"clip", {80, 90, 100, 85, 95}}});
  EXPECT_EQ(example.summary().deciding().strategies[1].verdict, Verdict::worse);
  example.run(1, 0) = ended(example.run(1, 0), Outcome::diverged);
  EXPECT_EQ(example.summary().deciding().strategies[1].verdict, Verdict::worse);
  example.run(0, 1) = ended(example.run(0, 1), Outcome::diverged);
  example.run(0, 2) = ended(example.run(0, 2), Outcome::collapsed);
  EXPECT_EQ(example.summary().deciding().strategies[1].verdict, Verdict::undecided);
}

TEST(Summarize, CountsCollapsedScoresAndSaysSo) {
  Example example = clear_pair();
  example.run(0, 2) = ended(example.run(0, 2), Outcome::collapsed, "the images show 4 of 10 classes");
  const Summary summary = example.summary();
  EXPECT_EQ(summary.deciding().strategies[0].mean->n, 5);
  EXPECT_EQ(summary.strategies[0].collapsed, 1);
  EXPECT_THAT(summary.strategies[0].troubles, ElementsAre("seed 2: collapsed: the images show 4 of 10 classes"));
}

TEST(Summarize, CountsDoneRunsWithoutAFiniteScoreAsFailures) {
  Example example = clear_pair();
  example.run(1, 0).scores.front().second.back().value = kNaN;
  example.run(1, 1).scores.front().second.back().value = std::numeric_limits<double>::infinity();
  example.run(1, 2).scores.front().second.pop_back();  // not evaluated at the last step
  const Summary summary = example.summary();
  const StrategyScore& spectral = summary.deciding().strategies[1];
  EXPECT_EQ(spectral.failures, 3);
  EXPECT_EQ(spectral.mean->n, 2);
  EXPECT_THAT(summary.strategies[1].troubles,
              ElementsAre("seed 0: no finite fd_toy at its last step", "seed 1: no finite fd_toy at its last step",
                          "seed 2: no finite fd_toy at its last step"));
}

TEST(Summarize, NeedsThreePairsForAVerdict) {
  Example example = clear_pair();
  for (size_t seed = 2; seed < 5; ++seed) example.run(1, seed) = ended(example.run(1, seed), Outcome::failed);
  EXPECT_EQ(example.summary().deciding().strategies[1].verdict, Verdict::too_few);
  EXPECT_EQ(example.summary().deciding().strategies[1].difference->mean.n, 2);
  example.run(1, 1) = ended(example.run(1, 1), Outcome::failed);
  const StrategyScore one = example.summary().deciding().strategies[1];
  EXPECT_EQ(one.difference->mean.mean, -20);
  EXPECT_TRUE(std::isnan(one.difference->p_corrected));
  EXPECT_EQ(one.verdict, Verdict::too_few);
}

TEST(Summarize, OfASweepInProgressSaysWhatThereIs) {
  Example example = four_strategies();
  example.run(3, 0) = RunResult{};  // not begun
  example.run(3, 0).strategy = "clip";
  for (size_t strategy = 0; strategy < 4; ++strategy) {
    example.run(strategy, 2) = ended(example.run(strategy, 2), Outcome::unfinished);
  }
  const Summary summary = example.summary();
  EXPECT_EQ(summary.strategies[3].unfinished, 2);
  EXPECT_THAT(summary.strategies[3].troubles, IsEmpty());
  EXPECT_EQ(summary.steps, 300);
  const auto& strategies = summary.deciding().strategies;
  EXPECT_EQ(strategies[1].failures, 0);
  EXPECT_EQ(strategies[1].verdict, Verdict::too_few);
  EXPECT_DOUBLE_EQ(*strategies[0].rank, 3);  // of seed 1 alone, the one that has ended
  EXPECT_THAT(conclusions(summary), Contains(HasSubstr("Not finished: 5 of 12 runs.")));
  EXPECT_THAT(summary_text(summary), HasSubstr("1 of 3 finished (2 unfinished)"));
  EXPECT_NO_THROW(to_json(summary).dump());
}

TEST(Summarize, WithoutAnyFinishedRunHasNoMeansAndNoTarget) {
  Example example = clear_pair();
  for (RunResult& run : example.results) run = ended(run, Outcome::unfinished);
  const Summary summary = example.summary();
  EXPECT_FALSE(summary.deciding().strategies[0].mean);
  EXPECT_FALSE(summary.deciding().strategies[0].rank);
  EXPECT_TRUE(std::isnan(summary.target));
  EXPECT_THAT(summary.costs[0].steps_to_target, testing::Each(std::nullopt));
  EXPECT_THAT(conclusions(summary).front(), HasSubstr("both finished at 0 seeds, and 3 are the least."));
  for (const auto& text :
       {summary_text(summary), summary_markdown(summary), summary_latex(summary), summary_csv(summary)}) {
    EXPECT_THAT(text, Not(HasSubstr("nan")));
  }
}

TEST(Summarize, RefusesResultsThatAreNotThePlans) {
  Example example = clear_pair();
  std::swap(example.results[0], example.results[1]);
  EXPECT_THROW(example.summary(), std::invalid_argument);
  example = clear_pair();
  example.results.pop_back();
  EXPECT_THROW(example.summary(), std::invalid_argument);
  example = clear_pair();
  example.plan.baseline = "gp";
  EXPECT_THROW(example.summary(), std::invalid_argument);
}

TEST(ScoreNames, AreFullOrTheirBeginning) {
  Example example = clear_pair();
  example.plan.scores = {"fd_toy", "fd"};
  EXPECT_THAT(example.summary().scores, SizeIs(1));  // both name the same
  for (RunResult& run : example.results) run.scores.emplace_back("fd_toy_128", run.scores.front().second);
  for (RunResult& run : example.results) run.lower_is_better["fd_toy_128"] = true;
  example.plan.scores = {"fd_toy"};
  EXPECT_EQ(example.summary().deciding().name, "fd_toy");
  example.plan.scores = {"fd_toy_128", "fd_toy"};
  EXPECT_EQ(example.summary().deciding().name, "fd_toy_128");
  example.plan.scores = {"fd"};
  EXPECT_THAT(error_of(example), AllOf(HasSubstr("'fd'"), HasSubstr("fd_toy, fd_toy_128"), HasSubstr("'scores'")));
}

TEST(ScoreNames, ThatNoRunHasAreErrors) {
  Example example = clear_pair();
  example.plan.scores = {"kd"};
  EXPECT_THAT(error_of(example), AllOf(HasSubstr("'kd'"), HasSubstr("fd_toy"), HasSubstr("evaluate")));
  example.plan.scores = {"f"};
  EXPECT_THAT(error_of(example), HasSubstr("'f'"));
  for (RunResult& run : example.results) run.scores.clear();
  EXPECT_THAT(error_of(example), HasSubstr("no run of the comparison has any score yet"));
}

TEST(ScoreNames, NeedOneDirection) {
  Example example = clear_pair();
  example.run(1, 2).lower_is_better["fd_toy"] = false;
  EXPECT_THAT(error_of(example), AllOf(HasSubstr("(none, seed 0)"), HasSubstr("(spectral, seed 2)")));
  for (RunResult& run : example.results) run.lower_is_better.clear();
  EXPECT_THAT(error_of(example), HasSubstr("lower 'fd_toy' is better"));
}

Json protocol_of(int64_t seed, int64_t step, int64_t count) {
  return {{"features", {{"network", "toy"}}},
          {"real", {{"count", count}}},
          {"generated",
           {{"weights", "ema"},
            {"step", step},
            {"train_seed", seed},
            {"checkpoint", "step-" + std::to_string(step)},
            {"evaluate_seed", 0}}}};
}

TEST(Protocols, MayDifferInSeedStepAndCheckpoint) {
  Example example = clear_pair();
  for (RunResult& run : example.results) run.protocol = protocol_of(run.seed, 300, 1437);
  example.run(1, 4) = ended(example.run(1, 4), Outcome::diverged);
  example.run(1, 4).protocol = protocol_of(4, 100, 1437);
  example.run(0, 3).protocol = nullptr;
  const Json merged = example.summary().protocol;
  EXPECT_EQ(merged["generated"]["train_seed"], Json({0, 1, 2, 4, 3}));
  EXPECT_EQ(merged["generated"]["step"], 300);  // of the runs that are done
  EXPECT_EQ(merged["generated"]["weights"], "ema");
  EXPECT_EQ(merged["real"]["count"], 1437);
}

TEST(Protocols, ThatDifferElsewhereAreErrors) {
  Example example = clear_pair();
  for (RunResult& run : example.results) run.protocol = protocol_of(run.seed, 300, 1437);
  EXPECT_EQ(error_of(example), "");
  example.run(1, 2).protocol = protocol_of(2, 300, 1000);
  EXPECT_THAT(error_of(example), AllOf(HasSubstr("real.count is 1437 in (none, seed 0) and 1000 in (spectral, seed 2)"),
                                       HasSubstr("evaluate")));
  example.run(1, 2).protocol = protocol_of(2, 300, 1437);
  example.run(1, 2).protocol["generated"].erase("weights");
  EXPECT_THAT(error_of(example), HasSubstr("generated.weights is \"ema\" in (none, seed 0) and missing in"));
  example.run(1, 2).protocol = protocol_of(2, 300, 1437);
  example.run(1, 2).protocol["real"] = 5;
  EXPECT_THAT(error_of(example), HasSubstr("real is {\"count\":1437}"));
  example.run(1, 2).protocol = protocol_of(2, 300, 1437);
  example.run(1, 2).protocol["step"] = 3;  // not the one below "generated"
  EXPECT_THAT(error_of(example), HasSubstr("step is missing in (none, seed 0) and 3 in"));
}

TEST(TimeToTarget, IsOfTheFirstEvaluationAsGoodAsTheBaselinesMean) {
  Example example = four_strategies();
  const Summary summary = example.summary();
  EXPECT_EQ(summary.target, 90);
  EXPECT_EQ(summary.target_of, "the baseline's mean at the last step");
  EXPECT_THAT(summary.costs[0].steps_to_target, ElementsAre(300, 300, std::nullopt));
  EXPECT_THAT(summary.costs[1].steps_to_target, ElementsAre(300, 300, 300));
  EXPECT_DOUBLE_EQ(*summary.costs[1].seconds_to_target[0], 3.0);
  EXPECT_THAT(summary.costs[3].seconds_to_target, testing::Each(std::nullopt));
  EXPECT_EQ(summary.costs[1].ms_per_step->mean, 10);
  EXPECT_THAT(summary_text(summary),
              AllOf(HasSubstr("time to fd_toy ≤ 90.0"), HasSubstr("3.00 s (2 of 3)"), HasSubstr("never")));
}

TEST(TimeToTarget, TakesThePlansTargetAndEitherDirection) {
  Example example = four_strategies();
  example.plan.target = 95;
  EXPECT_EQ(example.summary().target_of, "the sweep file");
  EXPECT_THAT(example.summary().costs[3].steps_to_target, ElementsAre(200, 200, 200));
  EXPECT_DOUBLE_EQ(*example.summary().costs[3].seconds_to_target[0], 2.0);
  for (RunResult& run : example.results) run.lower_is_better["fd_toy"] = false;
  example.run(0, 0).scores.front().second.front().value = kNaN;
  EXPECT_THAT(example.summary().costs[0].steps_to_target, ElementsAre(200, 100, 100));
}

TEST(Summarize, TurnsVerdictsAndRanksWhereHigherIsBetter) {
  Example example = clear_pair();
  for (RunResult& run : example.results) run.lower_is_better["fd_toy"] = false;
  const Summary summary = example.summary();
  EXPECT_EQ(summary.deciding().strategies[1].verdict, Verdict::worse);
  EXPECT_EQ(summary.deciding().strategies[1].rank, 2);
  EXPECT_THAT(conclusions(summary).front(), HasSubstr("spectral is worse than none by 20.0 in fd_toy"));
}

TEST(Cost, IsTheLargestMemoryOfTheRuns) {
  Example example = clear_pair();
  example.run(1, 2).peak_memory_bytes = 3 << 20;
  example.run(1, 3).peak_memory_bytes.reset();
  example.run(1, 0).peak_gpu_memory_bytes = int64_t{20} << 30;
  const Summary summary = example.summary();
  EXPECT_EQ(summary.costs[1].peak_memory_bytes, 3 << 20);
  EXPECT_FALSE(summary.costs[0].peak_gpu_memory_bytes);
  EXPECT_THAT(summary_text(summary), AllOf(HasSubstr("3.00 MiB"), HasSubstr("20.0 GiB")));
}

TEST(Conclusions, OfTheExample) {
  const auto sentences = conclusions(four_strategies().summary());
  EXPECT_THAT(
      sentences,
      ElementsAre(
          "spectral is better than none by 20.0 in fd_toy (95 % interval 15.0 to 25.0; p = 0.00332 for it alone, p = "
          "0.00995 after Holm's "
          "correction; d_z = 10.0; 3 seeds).",
          "3 seeds cannot tell gp from none in fd_toy: gp is worse by 1.67 on average (95 % interval −12.7 to 16.0; "
          "p = 0.667 after Holm's correction; d_z = 0.289; 3 seeds). At the difference seen, about 129 seeds would "
          "be needed (80 % power at level 0.0167): a rough figure, as it rests on an effect estimated from 3 seeds.",
          "3 seeds cannot tell clip from none in fd_toy: clip is worse by 40.0 on average (the same at each of 3 "
          "seeds; p = 0.500 by the sign-flip test after Holm's correction). Without any noise among them the t "
          "test does not apply, and the sign-flip test needs 7 seeds."));
}

TEST(Conclusions, SayWhyNoVerdictIsGiven) {
  Example example = clear_pair();
  example.run(1, 3) = ended(example.run(1, 3), Outcome::diverged);
  auto sentences = conclusions(example.summary());
  EXPECT_THAT(sentences[0],
              AllOf(HasSubstr("No verdict on spectral: where both finished it is better than none by 19.8"),
                    HasSubstr("but spectral failed more often, in 1 of 5 runs beside 0 ")));
  EXPECT_EQ(sentences[1], "spectral: 4 of 5 finished (1 diverged).");
  for (const size_t seed : {0u, 1u, 2u}) example.run(1, seed) = ended(example.run(1, seed), Outcome::failed);
  EXPECT_EQ(conclusions(example.summary())[0],
            "No verdict on spectral in fd_toy: it and none both finished at 1 seed, and 3 are the least; so far it is "
            "better by 19.0 on average.");
}

TEST(Conclusions, OfEqualAndOfTinyDifferences) {
  const Example equal = example_of({{"none", {80, 90, 100}}, {"ema", {80, 90, 100}}, {"gp", {81, 89, 100.0001}}});
  const auto sentences = conclusions(equal.summary());
  EXPECT_EQ(sentences[0], "3 seeds cannot tell ema from none in fd_toy: on average they are equal.");
  EXPECT_THAT(sentences[1], HasSubstr("At the difference seen, more than 1,000 seeds would be needed"));
}

TEST(Conclusions, CallOtherScoresDescriptive) {
  Example example = four_strategies();
  for (RunResult& run : example.results) {
    run.scores.emplace_back("is_toy", run.scores.front().second);
    run.scores.emplace_back("swd", run.scores.front().second);
    for (ScorePoint& point : run.scores.back().second) point.value = 5 + static_cast<double>(run.seed);
    run.lower_is_better["is_toy"] = run.lower_is_better["swd"] = false;
  }
  example.plan.scores = {"fd", "is", "swd"};
  const auto sentences = conclusions(example.summary());
  ASSERT_THAT(sentences, SizeIs(6));
  EXPECT_EQ(sentences[3], "By is_toy (higher is better), spectral is worse than none; the rest is undecided.");
  EXPECT_EQ(sentences[4], "By swd (higher is better), the seeds tell no strategy from none.");
  EXPECT_THAT(sentences[5], HasSubstr("Only fd_toy decides; the other scores are descriptive"));
}

TEST(Conclusions, OfABaselineAlone) {
  const Summary summary = example_of({{"none", {80, 90, 100}}}).summary();
  EXPECT_THAT(conclusions(summary), IsEmpty());
  EXPECT_THAT(summary_text(summary), HasSubstr("90.0 [65.2, 115]"));
}

TEST(SummaryJson, HasNullForWhatIsNotThere) {
  Example example = clear_pair();
  for (size_t seed = 1; seed < 5; ++seed) example.run(1, seed) = ended(example.run(1, seed), Outcome::failed);
  const Json json = to_json(example.summary());
  const Json& spectral = json["scores"][0]["strategies"][1];
  EXPECT_EQ(spectral["values"], Json({60.0, nullptr, nullptr, nullptr, nullptr}));
  EXPECT_EQ(spectral["mean"]["mean"], 60.0);
  EXPECT_TRUE(spectral["mean"]["low"].is_null());
  EXPECT_TRUE(spectral["difference"]["p"].is_null());
  EXPECT_TRUE(spectral["seeds_needed"].is_null());
  EXPECT_EQ(spectral["verdict"], "too few");
  EXPECT_TRUE(json["scores"][0]["strategies"][0]["difference"].is_null());
  EXPECT_EQ(json["strategies"][1]["failed"], 4);
  EXPECT_EQ(json["target"]["value"], 90.0);
  const Json constant = to_json(four_strategies().summary())["scores"][0]["strategies"][3]["difference"];
  EXPECT_TRUE(constant["t"].is_null());  // infinite
  EXPECT_EQ(constant["p"], 0.25);
}

TEST(SummaryJson, HasTimesInItsCostAlone) {
  Example example = four_strategies();
  const Json one = to_json(example.summary());
  for (RunResult& run : example.results) {
    run.ms_per_step = *run.ms_per_step * (1.5 + static_cast<double>(run.seed));
    run.metrics.front()["ms_per_step"] = *run.ms_per_step;
    run.peak_memory_bytes = 77;
    run.peak_gpu_memory_bytes = 78;
    run.folder = "/elsewhere";
  }
  Json other = to_json(example.summary());
  EXPECT_NE(other["cost"], one["cost"]);
  other["cost"] = one["cost"];
  EXPECT_EQ(other.dump(), one.dump());
}

TEST(SummaryJson, CanBeWrittenWhateverTheFilesHold) {
  Example example = clear_pair();
  example.plan.strategies[1].second = "{name: \xff\x1b[31m}";
  example.run(1, 1) = ended(example.run(1, 1), Outcome::failed, "a\nb\xc3\x28 \u009b \x7f");
  for (RunResult& run : example.results) run.protocol = {{"features\xfe", "x\xff"}};
  const Summary summary = example.summary();
  const std::string json = to_json(summary).dump();
  EXPECT_EQ(Json::parse(json)["strategies"][1]["troubles"][0], "seed 1: failed: a\uFFFDb\uFFFD( \uFFFD \uFFFD");
  for (const auto& text :
       {summary_text(summary), summary_markdown(summary), summary_latex(summary), summary_csv(summary)}) {
    EXPECT_NO_THROW(Json(text).dump());  // valid UTF-8
    EXPECT_EQ(std::ranges::count_if(text, [](char c) { return c == '\x1b' || c == '\x7f'; }), 0);
  }
}

// The cells of a CSV file by RFC 4180.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows{{""}};
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      rows.back().back() += text[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      rows.back().emplace_back();
    } else if (c == '\n' && !quoted) {
      rows.push_back({""});
    } else {
      rows.back().back() += c;
    }
  }
  rows.pop_back();
  return rows;
}

TEST(SummaryCsv, HasARowForEachStrategyAndScoreAtFullPrecision) {
  Example example = four_strategies();
  example.plan.name = "a \"quoted\", long name";
  example.run(1, 0).scores.front().second.back().value = 59.1 + 1e-13;
  for (RunResult& run : example.results) run.scores.emplace_back("swd", run.scores.front().second);
  for (RunResult& run : example.results) run.lower_is_better["swd"] = true;
  example.plan.scores.emplace_back("swd");
  const auto rows = parse_csv(summary_csv(example.summary()));
  ASSERT_THAT(rows, SizeIs(1 + 4 * 2));
  std::map<std::string, std::string> spectral;
  for (const auto& row : rows) ASSERT_EQ(row.size(), rows[0].size());
  for (size_t i = 0; i < rows[0].size(); ++i) spectral[rows[0][i]] = rows[2][i];
  EXPECT_THAT(spectral, SizeIs(rows[0].size()));  // no name twice
  EXPECT_EQ(spectral["comparison"], "a \"quoted\", long name");
  EXPECT_EQ(spectral["strategy"], "spectral");
  EXPECT_EQ(std::stod(spectral["seed_0"]), 59.1 + 1e-13);
  const PairedDifference difference = *example.summary().deciding().strategies[1].difference;
  EXPECT_EQ(std::stod(spectral["difference_low"]), difference.mean.low);
  EXPECT_EQ(std::stod(spectral["p_corrected"]), difference.p_corrected);
  EXPECT_EQ(std::stod(spectral["d_z"]), difference.effect);
  EXPECT_EQ(spectral["verdict"], "better");
  EXPECT_EQ(spectral["seeds_needed"], "");
  EXPECT_EQ(spectral["pairs"], "3");
  EXPECT_EQ(spectral["rank"], "1");
  EXPECT_EQ(spectral["median_seconds_to_target"], "3");
  EXPECT_EQ(spectral["reached_target"], "3");
  EXPECT_EQ(spectral["peak_memory_bytes"], "1048576");
}

// The lines of the first Markdown table after a heading.
std::vector<std::string> table_after(const std::string& markdown, const std::string& heading) {
  std::vector<std::string> table;
  bool after = false;
  for (const std::string& line : lines_of(markdown)) {
    after = after || line.find(heading) != std::string::npos;
    if (after && line.starts_with('|')) table.push_back(line);
    if (!table.empty() && !line.starts_with('|')) break;
  }
  return table;
}

TEST(SummaryMarkdown, IsATableWithFailuresCountsAndTheBestMeanBold) {
  Example example = four_strategies();
  example.run(2, 1) = ended(example.run(2, 1), Outcome::diverged, "loss_d is NaN | at *step* 200");
  const std::string markdown = summary_markdown(example.summary());
  EXPECT_THAT(
      table_after(markdown, "## fd\\_toy (lower is better)"),
      ElementsAre("| strategy | runs | mean \\[95 %\\] | minus none \\[95 %\\] | p (Holm) | verdict | d\\_z | rank |",
                  "|---|---:|---:|---:|---:|---:|---:|---:|",
                  "| none | 3 of 3 | 90.0 \\[65.2, 115\\] | – | – | baseline | – | 2.00 |",
                  "| spectral | 3 of 3 | **70.0 \\[47.2, 92.8\\]** | −20.0 \\[−25.0, −15.0\\] | 0.00995 | better | "
                  "−10.0 | 1.00 |",
                  "| gp | 2 of 3 finished (1 diverged) | 95.0 \\[−32.1, 222\\] | 5.00 \\[5.00, 5.00\\] | 0.500 | "
                  "too few | ∞ | 3.33 |",
                  "| clip | 3 of 3 | 130 \\[105, 155\\] | 40.0 \\[40.0, 40.0\\] | 0.500 | undecided | ∞ | 3.67 |"));
  EXPECT_THAT(markdown, HasSubstr("- gp, seed 1: diverged: loss\\_d is NaN \\| at \\*step\\* 200\n"));
  EXPECT_THAT(table_after(markdown, "## Cost"), SizeIs(6));
  EXPECT_THAT(markdown, HasSubstr("p corrected after Holm over 3 comparisons"));
}

TEST(SummaryMarkdown, MakesTheBestMeanOfTheFewestFailuresBold) {
  Example example = four_strategies();
  example.run(1, 2) = ended(example.run(1, 2), Outcome::diverged);
  const auto rows = table_after(summary_markdown(example.summary()), "## fd");
  EXPECT_THAT(rows[3], Not(HasSubstr("**")));
  EXPECT_THAT(rows[2], HasSubstr("**90.0 \\["));
}

TEST(SummaryLatex, EscapesMarksAndBalances) {
  Example example = four_strategies();
  example.plan.name = R"(50 % & {#1} a_b ~^\ $x$)";
  for (RunResult& run : example.results) run.protocol = {{"real", {{"data", "16×16 px"}}}};
  for (size_t seed = 0; seed < 3; ++seed)
    example.run(3, seed).scores[0].second.back().value += 2 * static_cast<double>(seed);
  const std::string latex = summary_latex(example.summary());
  EXPECT_THAT(latex, HasSubstr(R"(50 \% \& \{\#1\} a\_b \textasciitilde{}\textasciicircum{}\textbackslash{} \$x\$)"));
  EXPECT_THAT(latex, HasSubstr(R"(spectral & 3 of 3 & \textbf{70.0 [47.2, 92.8]$^{*}$} & $-$20.0 [$-$25.0, $-$15.0])"));
  EXPECT_THAT(latex, HasSubstr(R"(clip & 3 of 3 & 132 [102, 162]$^{\dagger}$ & 42.0 [37.0, 47.0])"));
  EXPECT_THAT(latex, HasSubstr(R"($^{*}$ better, $^{\dagger}$ worse than none with a corrected p $\le$ 0.05)"));
  EXPECT_THAT(latex, HasSubstr(R"(Protocol: real.data: 16$\times$16 px.)"));
  EXPECT_EQ(std::ranges::count(latex, '{'), std::ranges::count(latex, '}'));
  EXPECT_EQ(std::ranges::count(latex, '$') % 2, 0);  // the name's two among them
}

TEST(SummaryText, StaysWithinATerminal) {
  Example example = four_strategies();
  example.plan.strategies[2].first = std::string(60, 'g');
  for (size_t seed = 0; seed < 3; ++seed) example.run(2, seed).strategy = std::string(60, 'g');
  for (const std::string name : {"precision_of_a_network", "recall_of_a_network", "coverage_of_a_network", "swd"}) {
    example.plan.scores.push_back(name);
    for (RunResult& run : example.results) run.scores.emplace_back(name, run.scores.front().second);
    for (RunResult& run : example.results) run.lower_is_better[name] = true;
  }
  const std::string text = summary_text(example.summary());
  for (const std::string& line : lines_of(text)) {
    EXPECT_LE(std::ranges::count_if(line, [](char byte) { return (byte & 0xC0) != 0x80; }), 100) << line;
  }
  EXPECT_THAT(text, HasSubstr("swd ↓"));
}

TEST(SummaryText, OfTheExample) {
  const auto lines = lines_of(summary_text(four_strategies().summary()));
  EXPECT_EQ(lines[0], "toy: 4 strategies × 3 seeds, 300 steps a run, baseline none");
  EXPECT_EQ(lines[2], "fd_toy (lower is better) at the last step");
  EXPECT_EQ(lines[3], "strategy    runs        mean [95 %]     minus none [95 %]  p (Holm)    verdict    d_z  rank");
  EXPECT_EQ(lines[5], "spectral  3 of 3  70.0 [47.2, 92.8]  −20.0 [−25.0, −15.0]   0.00995     better  −10.0  1.00");
}

TEST(Numbers, HaveThreeDigitsAndNoNeedlessPowers) {
  const auto shown = [](double value) {
    const Summary summary = example_of({{"none", {value}}}).summary();
    const auto line = lines_of(summary_text(summary))[4];
    return line.substr(line.find("of 1") + 4, line.find(" – ") - line.find("of 1") - 4);
  };
  const std::map<double, std::string> expected = {{100, "100"},          {99.96, "100"},     {1234.5, "1234"},
                                                  {0.0123449, "0.0123"}, {-2.5, "−2.50"},    {0, "0"},
                                                  {3.4e8, "3.40×10⁸"},   {1e-7, "1.00×10⁻⁷"}};
  for (const auto& [value, text] : expected) EXPECT_THAT(shown(value), HasSubstr(text)) << value;
}

}  // namespace
}  // namespace sgan
