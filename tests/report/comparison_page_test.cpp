#include "report/comparison_page.h"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/report/run_fixture.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// A comparison of none, clip and spectral over some seeds, in memory, with folders for samples.
class ComparisonPage : public RunFixture {
 protected:
  ComparisonPage() { plan_for({"none", "clip", "spectral"}, 3); }

  void plan_for(const std::vector<std::string>& strategies, int64_t seeds) {
    plan_ = {.name = "digits",
             .baseline = strategies.front(),
             .strategies = {},
             .seeds = {},
             .scores = {"fd", "recall"},
             .target = {}};
    results_.clear();
    for (int64_t seed = 0; seed < seeds; ++seed) plan_.seeds.push_back(seed);
    for (size_t i = 0; i < strategies.size(); ++i) {
      plan_.strategies.emplace_back(strategies[i], i == 0 ? "" : "{discriminator: {weight: x}}");
      for (int64_t seed = 0; seed < seeds; ++seed) {
        results_.push_back(run(strategies[i], seed, 100 - 30 * static_cast<double>(i) + static_cast<double>(seed)));
      }
    }
  }

  RunResult run(const std::string& strategy, int64_t seed, double fd) const {
    RunResult result;
    result.strategy = strategy;
    result.seed = seed;
    result.folder = root / "runs" / fmt::format("{}-seed{}", strategy, seed);
    result.outcome = Outcome::finished;
    result.step = result.steps = 200;
    result.scores = {{"fd_net", {{100, 2 * fd}, {200, fd}}}, {"recall_net", {{100, 0.1}, {200, 0.2 + fd / 1000}}}};
    result.lower_is_better = {{"fd_net", true}, {"recall_net", false}};
    result.protocol = {{"features", {{"network", "net"}, {"sha256", "abc123"}}},
                       {"generated", {{"count", 5000}, {"step", 200}, {"train_seed", seed}}}};
    result.brackets = {{100, 1, 8}, {200, 2, std::numeric_limits<double>::infinity()}};
    result.last_bracket = {{"layers", {{{"name", "conv0"}, {"operation", "conv"}, {"operator_upper", 1.5}}}}};
    for (int step = 50; step <= 200; step += 50) {
      result.metrics.push_back({{"step", step},
                                {"loss_d", 1},
                                {"loss_g", nullptr},
                                {"critic_slope", {{"max", 2}}},
                                {"sigma_effective", {{"conv0", 1.25}}},
                                {"ms_per_step", 5},
                                {"train_s", step * 0.005}});
    }
    result.record = {
        {"torch", "2.11.0"}, {"device", "cpu"}, {"data", "digits"}, {"parameters", {{"generator", 41313}}}};
    result.config = fmt::format("seed: {}\nloss: hinge\ndiscriminator:\n  weight: {}\n", seed, strategy);
    result.ms_per_step = 5;
    return result;
  }

  RunResult& result(const std::string& strategy, int64_t seed) {
    for (RunResult& found : results_) {
      if (found.strategy == strategy && found.seed == seed) return found;
    }
    throw std::invalid_argument("no such run");
  }

  void write_samples(const std::string& strategy, int64_t seed, int64_t step, const std::string& bytes) const {
    write(fmt::format("runs/{}-seed{}/samples/step-{:08d}.png", strategy, seed, step), bytes);
  }

  std::string page() const { return comparison_page(summarize(plan_, results_), results_, {root, "seeds: 0-2 # <x>"}); }

  ComparisonPlan plan_;
  std::vector<RunResult> results_;
};

TEST_F(ComparisonPage, IsSelfContained) {
  write_samples("clip", 1, 100, "AB");
  write_samples("clip", 1, 200, "ABC");
  write("runs/clip-seed1/samples/reals.png", "A");
  const std::string html = page();
  EXPECT_TRUE(html.starts_with("<!DOCTYPE html>"));
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  EXPECT_EQ(count(html, "<script"), 1u);
  for (const char* attribute : {"src=\"", "href=\"", "srcset=\"", "action=\""}) {
    for (size_t at = html.find(attribute); at != std::string::npos; at = html.find(attribute, at + 1)) {
      const std::string target = html.substr(at + std::string_view(attribute).size(), 40);
      EXPECT_TRUE(target.starts_with("data:") || target.starts_with("#")) << attribute << target;
    }
  }
  EXPECT_THAT(html, Not(AnyOf(HasSubstr("url("), HasSubstr("@import"), HasSubstr(" onclick="), HasSubstr(" onload="))));
  for (const char* image : {"base64,QQ==\"", "base64,QUI=\"", "base64,QUJD\""}) EXPECT_EQ(count(html, image), 1u);
}

TEST_F(ComparisonPage, TellsTheResultInThePapersOrder) {
  const std::string html = page();
  size_t before = 0;
  for (const char* part :
       {"3 strategies for the discriminator, 3 seeds each, 200 generator updates a run on digits.", "What the runs say",
        "<b>Figure 1.</b>", "<b>Table 1.</b>", "<b>Table 2.</b>", ">Samples</h2>", ">Learning curves</h2>",
        "Lipschitz bracket of each strategy", "Largest singular value", "Layers at the last bracket",
        "Cost against quality", ">How it was done</h2>", "The sweep file"}) {
    const size_t at = html.find(part, before);
    ASSERT_NE(at, std::string::npos) << part;
    before = at;
  }
  // 101 of none and 71 of clip with equal spreads; every difference is −30.
  EXPECT_THAT(html, AllOf(HasSubstr("101 (98.5 to 103)"), HasSubstr("−30.0 (−30.0 to −30.0)"), HasSubstr("Student"),
                          HasSubstr("network net"), HasSubstr("count 5000")));
  // Every sentence of the summary's conclusions is there.
  const Summary summary = summarize(plan_, results_);
  EXPECT_EQ(count(html.substr(0, html.find("id=\"result\"")), "<li>"), conclusions(summary).size());
}

TEST_F(ComparisonPage, NumbersFiguresInTheirOrderAndLinksTheirData) {
  const std::string html = page();
  size_t before = 0;
  for (int i = 1; i <= 8; ++i) {
    const size_t at = html.find(fmt::format("<b>Figure {}.</b>", i));
    ASSERT_NE(at, std::string::npos) << i;
    EXPECT_GT(at, before) << i;
    before = at;
    EXPECT_EQ(count(html, fmt::format("download=\"figure-{}-", i)), 1u) << i;
  }
  EXPECT_EQ(count(html, "<b>Figure 9.</b>"), 0u);
  for (const char* name : {"summary.csv", "summary.md", "summary.tex"}) {
    EXPECT_EQ(count(html, fmt::format("download=\"{}\"", name)), 1u);
  }
  EXPECT_THAT(html, HasSubstr("fd_net,clip,1,71,,,%0D%0A"));                       // a seed's value in figure 1
  EXPECT_THAT(html, HasSubstr("fd_net%20over%20seconds,clip,1,100,0.5,142,,,1"));  // in figure 2
  EXPECT_THAT(html, HasSubstr("clip,seed%201,100,1,8%0D%0A"));                     // a bracket
}

TEST_F(ComparisonPage, SaysFailuresLoudly) {
  RunResult& diverged = result("clip", 1);
  diverged.outcome = Outcome::diverged;
  diverged.why = "loss_d is <NaN>";
  diverged.step = 60;
  result("spectral", 2).outcome = Outcome::unfinished;
  const std::string html = page();
  EXPECT_THAT(html, AllOf(HasSubstr("2 of 9 runs failed, collapsed or did not finish."),
                          HasSubstr("loss_d is &lt;NaN&gt;"), HasSubstr("2 of 3, 1 diverged"),
                          HasSubstr("2 of 3, 1 unfinished"), HasSubstr("60 of 200"), HasSubstr("class=\"stop\"")));
  plan_for({"none", "clip"}, 3);
  EXPECT_THAT(page(), Not(AnyOf(HasSubstr("class=\"alert\""), HasSubstr("class=\"stop\""))));
}

TEST_F(ComparisonPage, EscapesWhatFilesName) {
  const std::string hostile = "</script><script>alert('1')</script>\"<b>";
  plan_.name = hostile;
  plan_.strategies[1].second = hostile;
  for (RunResult& run : results_) {
    run.why = hostile;
    run.config += "name2: " + hostile + "\n";
    run.record["data"] = run.record["device"] = hostile;
    run.protocol["features"][hostile] = hostile;
    run.last_bracket["layers"][0]["name"] = run.last_bracket["layers"][0]["operation"] = hostile;
    for (auto& point : run.metrics) point["sigma_effective"] = {{hostile, 1}};
    run.scores.emplace_back("kd_" + hostile, std::vector<ScorePoint>{{200, 1}});
    run.lower_is_better["kd_" + hostile] = true;
  }
  results_[4].outcome = Outcome::failed;
  results_[5].folder = root / hostile;
  plan_.scores.push_back("kd");
  const std::string html = page();
  EXPECT_THAT(html, AllOf(Not(HasSubstr("alert('1')")), HasSubstr("&lt;/script&gt;")));
  EXPECT_EQ(count(html, "<script"), 0u);  // no samples: nothing to slide through
  EXPECT_EQ(count(html, "<b>\""), 0u);
}

TEST_F(ComparisonPage, ShowsSamplesByStrategyAndSeed) {
  for (int64_t seed = 0; seed < 3; ++seed) {
    write_samples("none", seed, 0, "x");
    write_samples("none", seed, 200, "y");
  }
  write_samples("clip", 0, 100, "z");
  const std::string html = page();
  EXPECT_EQ(count(html, "<figure class=\"run\""), 9u);
  EXPECT_THAT(html, HasSubstr("data-steps=\"0 100 200\""));
  EXPECT_THAT(html, HasSubstr("generated by clip, seed 0 at step 100"));
  EXPECT_EQ(count(html, "<select"), 0u);
}

TEST_F(ComparisonPage, OffersManySeedsInGroups) {
  plan_for({"none", "clip"}, 7);
  for (int64_t seed = 0; seed < 7; ++seed) write_samples("none", seed, 200, "y");
  const std::string html = page();
  EXPECT_THAT(html, HasSubstr("<option value=\"0\">0, 1, 2</option><option value=\"1\">3, 4, 5</option><option "
                              "value=\"2\">6</option>"));
  EXPECT_EQ(count(html, "data-group=\"1\""), 6u);
  EXPECT_EQ(count(html, "<script"), 1u);
}

TEST_F(ComparisonPage, KeepsToItsBudgetOfImages) {
  plan_for({"none", "clip"}, 2);
  const std::string image(700'000, 'x');
  for (const char* strategy : {"none", "clip"}) {
    for (int64_t seed = 0; seed < 2; ++seed) {
      for (int64_t step = 0; step <= 200; step += 20) write_samples(strategy, seed, step, image);
    }
  }
  const std::string html = page();
  EXPECT_LT(html.size(), 22'000'000u);
  EXPECT_EQ(count(html, "data:image/png"), 20u);  // 5 of 11 steps: 14 of 15.7 MB
  EXPECT_THAT(html, HasSubstr("Of 11 sampled steps 5 are in this page."));
  // Where even one step is too much, fewer seeds.
  for (const char* strategy : {"none", "clip"}) {
    for (int64_t seed = 0; seed < 2; ++seed) write_samples(strategy, seed, 200, std::string(5'000'000, 'x'));
  }
  EXPECT_THAT(page(), HasSubstr("Of 2 seeds the first 1 are in this page"));
}

TEST_F(ComparisonPage, ShowsAComparisonThatHasHardlyBegun) {
  plan_for({"none", "clip"}, 1);
  results_[1] = RunResult();
  results_[1].strategy = "clip";
  results_[0].metrics.clear();
  results_[0].brackets.clear();
  results_[0].last_bracket = nullptr;
  results_[0].ms_per_step = {};
  const std::string html = page();
  EXPECT_THAT(html,
              AllOf(HasSubstr("0 of 1, 1 unfinished"), HasSubstr("No run has samples."), HasSubstr("Not recorded.")));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
}

TEST_F(ComparisonPage, NeedsAScore) {
  EXPECT_THROW(comparison_page(Summary(), {}, {}), std::invalid_argument);
}

TEST_F(ComparisonPage, ComparesConfigs) {
  result("clip", 0).config += "train:\n  batch: 64\n";
  const std::string html = page();
  EXPECT_THAT(html, HasSubstr("<tr><th scope=\"row\">discriminator.weight</th><td class=\"text\"><code>none</code></td>"
                              "<td class=\"text\"><code>clip</code></td>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">train.batch</th><td class=\"text\">–</td>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">loss</th><td>hinge</td>"));  // shared
  EXPECT_EQ(count(html, "<th scope=\"row\">seed</th>"), 0u);
}

}  // namespace
}  // namespace sgan
