#include "comparison/summary.h"

#include <cmath>

#include <fmt/format.h>

#include "comparison/summary_words.h"
#include "run/format.h"

namespace sgan {
namespace {

// What a sentence about a strategy beside the baseline needs.
struct Comparison {
  const Summary& summary;
  const ScoreSummary& score;
  const StrategyScore& strategy;
  const StrategyInfo& info;
  std::string baseline;

  double gained() const { return gain(strategy.difference->mean.mean, score.lower_is_better); }
  std::string direction() const { return gained() > 0 ? "better" : "worse"; }
  std::string amount() const { return number(std::abs(gained())); }
};

// "(95 % interval 12.3 to 50.1; p = 0.0123 after Holm's correction; d_z = 4.10; 3 seeds)", of the amount by which it is
// better or, if it is, worse.
std::string evidence(const Comparison& comparison) {
  const PairedDifference& difference = *comparison.strategy.difference;
  const std::string p = relation_of_p(difference.p_corrected), seeds = plural(difference.mean.n, "seed");
  if (std::isinf(difference.effect)) {
    return fmt::format("(the same at each of {}; p {} by the sign-flip test after Holm's correction)", seeds, p);
  }
  const bool mirrored = difference.mean.mean < 0;
  const double low = mirrored ? -difference.mean.high : difference.mean.low;
  const double high = mirrored ? -difference.mean.low : difference.mean.high;
  const bool corrected = relation_of_p(difference.p) != p;
  return fmt::format("(95 % interval {} to {}; {}p {} after Holm's correction; d_z = {}; {})", number(low),
                     number(high), corrected ? fmt::format("p {} for it alone, ", relation_of_p(difference.p)) : "", p,
                     number(std::abs(difference.effect)), seeds);
}

std::string needed_sentence(const Comparison& comparison) {
  const PairedDifference& difference = *comparison.strategy.difference;
  const int64_t comparisons = comparisons_of(comparison.summary);
  if (difference.effect == 0) return "";
  if (std::isinf(difference.effect)) {
    int64_t pairs = difference.mean.n;
    while (pairs < kSignFlipPairs && !sign_flip_can_reject(pairs, comparisons)) ++pairs;
    return fmt::format(
        " Without any noise among them the t test does not apply, and the sign-flip test needs {} seeds.", pairs);
  }
  const auto needed = comparison.strategy.seeds_needed;
  return fmt::format(
      " At the difference seen, {} seeds would be needed (80 % power at level {}): a rough figure, as it "
      "rests on an effect estimated from {}.",
      needed ? fmt::format("about {}", *needed) : std::string("more than 1,000"),
      number(kLevel / static_cast<double>(comparisons)), plural(difference.mean.n, "seed"));
}

std::string too_few_sentence(const Comparison& comparison) {
  const int64_t pairs = pairs_of(comparison.strategy);
  const std::string so_far =
      pairs == 0 || comparison.gained() == 0
          ? ""
          : fmt::format("; so far it is {} by {} on average", comparison.direction(), comparison.amount());
  return fmt::format("No verdict on {} in {}: it and {} both finished at {}, and {} are the least{}.",
                     comparison.info.name, printable(comparison.score.name), comparison.baseline, plural(pairs, "seed"),
                     kVerdictPairs, so_far);
}

// Where the better one of the two failed more often.
std::string survivors_sentence(const Comparison& comparison) {
  const std::string &name = comparison.info.name, &baseline = comparison.baseline;
  const int64_t ours = comparison.strategy.failures;
  const int64_t theirs = comparison.score.strategies[baseline_of(comparison.summary)].failures;
  const bool is_ours = comparison.gained() > 0;
  return fmt::format(
      "No verdict on {}: where both finished it is {} than {} by {} in {} {}, but {} failed more often, in {} of "
      "{} beside {} (diverged, failed, collapsed or without this score).",
      name, comparison.direction(), baseline, comparison.amount(), printable(comparison.score.name),
      evidence(comparison), is_ours ? name : baseline, is_ours ? ours : theirs, plural(comparison.info.runs(), "run"),
      is_ours ? theirs : ours);
}

std::string undecided_sentence(const Comparison& comparison) {
  if (is_significant(comparison.strategy)) return survivors_sentence(comparison);
  const std::string opening =
      fmt::format("{} cannot tell {} from {} in {}", plural(pairs_of(comparison.strategy), "seed"),
                  comparison.info.name, comparison.baseline, printable(comparison.score.name));
  if (comparison.gained() == 0) return opening + ": on average they are equal.";
  return fmt::format("{}: {} is {} by {} on average {}.{}", opening, comparison.info.name, comparison.direction(),
                     comparison.amount(), evidence(comparison), needed_sentence(comparison));
}

std::string verdict_sentence(const Comparison& comparison) {
  switch (comparison.strategy.verdict) {
    case Verdict::too_few:
      return too_few_sentence(comparison);
    case Verdict::undecided:
      return undecided_sentence(comparison);
    default:
      return fmt::format("{} is {} than {} by {} in {} {}.", comparison.info.name, comparison.direction(),
                         comparison.baseline, comparison.amount(), printable(comparison.score.name),
                         evidence(comparison));
  }
}

// What a score that does not decide says, in one sentence.
std::string descriptive_sentence(const Summary& summary, const ScoreSummary& score) {
  Texts better, worse;
  for (size_t i = 0; i < score.strategies.size(); ++i) {
    if (score.strategies[i].verdict == Verdict::better) better.push_back(summary.strategies[i].name);
    if (score.strategies[i].verdict == Verdict::worse) worse.push_back(summary.strategies[i].name);
  }
  const std::string name = printable(score.name), baseline = printable(summary.baseline);
  if (better.empty() && worse.empty()) {
    return fmt::format("By {} ({}), the seeds tell no strategy from {}.", name, direction(score), baseline);
  }
  Texts parts;
  if (!better.empty()) parts.push_back(fmt::format("{} {} better", listed(better), better.size() == 1 ? "is" : "are"));
  if (!worse.empty()) parts.push_back(fmt::format("{} {} worse", listed(worse), worse.size() == 1 ? "is" : "are"));
  const bool all = better.size() + worse.size() == score.strategies.size() - 1;
  return fmt::format("By {} ({}), {} than {}{}.", name, direction(score), listed(parts), baseline,
                     all ? "" : "; the rest is undecided");
}

Texts caveats(const Summary& summary) {
  Texts sentences;
  int64_t unfinished = 0, runs = 0;
  for (const StrategyInfo& info : summary.strategies) {
    unfinished += info.unfinished;
    runs += info.runs();
    if (all_finished(info)) continue;
    if (info.finished + info.unfinished == info.runs()) continue;
    sentences.push_back(fmt::format("{}: {}.", info.name, runs_of(info)));
  }
  if (unfinished > 0) {
    sentences.push_back(
        fmt::format("Not finished: {} of {} runs. All of this is provisional; stopping at the first verdict that "
                    "pleases finds differences that are not there.",
                    unfinished, runs));
  }
  return sentences;
}

}  // namespace

std::vector<std::string> conclusions(const Summary& summary) {
  const ScoreSummary& score = summary.deciding();
  Texts sentences;
  for (size_t i = 0; i < score.strategies.size(); ++i) {
    if (score.strategies[i].verdict == Verdict::baseline) continue;
    sentences.push_back(
        verdict_sentence({summary, score, score.strategies[i], summary.strategies[i], printable(summary.baseline)}));
  }
  for (std::string& caveat : caveats(summary)) sentences.push_back(std::move(caveat));
  for (size_t k = 1; k < summary.scores.size(); ++k) {
    sentences.push_back(descriptive_sentence(summary, summary.scores[k]));
  }
  if (summary.scores.size() > 1) {
    sentences.push_back(
        fmt::format("Only {} decides; the other scores are descriptive, as their p are corrected over "
                    "the strategies but not over the scores.",
                    printable(score.name)));
  }
  return sentences;
}

}  // namespace sgan
