#include "configs/findings.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "configs/error.h"
#include "configs/loader.h"

namespace sgan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const DataFacts kManyImages{.samples = 50'000, .classes = 10, .least = -1, .largest = 1, .output_limit = 1};

std::vector<Finding> all_of(const Config& config, const DataFacts& data) {
  auto found = findings(config);
  for (auto& finding : data_findings(config, data)) found.push_back(std::move(finding));
  return found;
}

// What the default config must be given so that a rule applies, what the finding then says, and how to mend it, which
// is often not the only way.
struct Case {
  Severity severity;
  std::string what;
  std::vector<std::string> config;
  std::vector<std::string> mended;  // beside `config`
  DataFacts data = kManyImages;
};

std::vector<Case> cases() {
  using enum Severity;
  const auto with = [](auto change) {
    auto data = kManyImages;
    change(data);
    return data;
  };
  const std::string plain = "discriminator.weight=none";
  const std::string gp = "penalties=[{kind: gp}]";
  const std::string wgan = "loss=wgan";
  const std::string scores = "evaluation.every=100";
  return {
      {warning,
       "constraint.kind is clip and optimizer.discriminator is adam with beta1 0.5",
       {plain, wgan, "constraint.kind=clip", "train.critic_steps=5"},
       {"optimizer.discriminator.kind=rmsprop"}},
      {warning,
       "optimizer.discriminator is sgd with momentum 0.9",
       {plain, "constraint.kind=clip", "optimizer.discriminator={kind: sgd, momentum: 0.9}"},
       {"optimizer.discriminator.momentum=0"}},
      {warning,
       "optimizer.discriminator is rmsprop with momentum 0.5",
       {plain, "constraint.kind=clip", "optimizer.discriminator={kind: rmsprop, momentum: 0.5}"},
       {"optimizer.discriminator.momentum=0"}},
      {note,
       "constraint.kind is clip with loss hinge and adam with beta1 0.5",
       {plain, "constraint.kind=clip"},
       {"optimizer.discriminator.beta1=0"}},
      {warning,
       "constraint.kind is clip and the discriminator has batch normalization",
       {plain, wgan, "constraint.kind=clip", "optimizer.discriminator.kind=rmsprop", "train.critic_steps=5",
        "discriminator.norm=batch"},
       {"discriminator.norm=layer"}},
      {warning,
       "discriminator.weight is spectral and discriminator.norm is layer",
       {"discriminator.norm=layer"},
       {"discriminator.norm=none"}},
      {warning,
       "discriminator.weight is spectral_operator and discriminator.norm is batch",
       {"discriminator.norm=batch", "discriminator.weight=spectral_operator"},
       {"discriminator.norm=mean_only_batch"}},
      {warning, "loss is wgan with spectral normalization", {wgan}, {"discriminator.weight=spectral_operator"}},
      {note, "spectral.target is 2", {"spectral.target=2"}, {plain}},
      {note, "spectral.warmup is 0", {"spectral.warmup=0"}, {"spectral.power_iterations=10"}},
      {warning, "nothing bounds the critic's slope", {wgan, plain}, {"penalties=[{kind: r1}]"}},
      {warning, "nothing bounds the critic's slope", {wgan, plain}, {"discriminator.gradient_normalization=true"}},
      {warning,
       "loss is wgan with weight normalization alone",
       {wgan, "discriminator.weight=weight_norm"},
       {"penalties=[{kind: r1}]"}},
      {note,
       "train.critic_steps is 1 with loss wgan and gp",
       {wgan, plain, gp, "optimizer.discriminator.beta1=0"},
       {"train.critic_steps=5"}},
      {note,
       "train.critic_steps is 1 with loss wgan and clipping",
       {wgan, plain, "constraint.kind=clip", "optimizer.discriminator.kind=rmsprop"},
       {"train.boost.critic_steps=100"}},
      {note,
       "optimizer.discriminator has beta1 0.5",
       {wgan, plain, gp, "train.critic_steps=5"},
       {"optimizer.discriminator.beta1=0"}},
      {note, "loss is minimax", {"loss=minimax"}, {"loss=ns"}},
      {warning,
       "loss is relativistic and nothing holds the discriminator",
       {plain, "loss=relativistic"},
       {"penalties=[{kind: r1, weight: 0.05}, {kind: r2, weight: 0.05}]"}},
      {warning,
       "penalties has r1 with weight 0",
       {"penalties=[{kind: gp}, {kind: r1, weight: 0}]"},
       {"penalties=[{kind: gp}]"}},
      {warning,
       "penalties has gp every 20000 updates, of which the run makes 20000",
       {plain, "penalties=[{kind: gp, every: 20000}]", "train.critic_steps=2"},
       {"train.steps=20000", "penalties=[{kind: gp, every: 16}]"}},
      {note,
       "penalties has r1 every 17 updates",
       {"penalties=[{kind: r1, every: 17}]"},
       {"penalties=[{kind: r1, every: 16}]"}},
      {warning,
       "penalties has spectral on weights that spectral normalization has divided",
       {"penalties=[{kind: spectral, weight: 0.01}]"},
       {plain}},
      // Divided by the norm of another operator, which is not the penalty's.
      {warning,
       "penalties has spectral on weights that spectral normalization has divided",
       {"penalties=[{kind: spectral, weight: 0.01}]"},
       {"discriminator.weight=spectral_operator"}},
      {warning,
       "penalties has spectral on weights that spectral normalization has divided",
       {"penalties=[{kind: spectral, weight: 0.01}]"},
       {"discriminator.weight=spectral_bidirectional"}},
      {warning,
       "penalties has orthogonal with weight 10",
       {plain, "penalties=[{kind: gp}, {kind: orthogonal}]"},
       {"penalties=[{kind: gp}, {kind: orthogonal, weight: 1e-4}]"}},
      {warning,
       "optimizer.generator: adam with a rate of 1e-3 or more",
       {"optimizer.generator={lr: 1e-3, beta1: 0.9}"},
       {"optimizer.generator.beta1=0.5"}},
      {warning,
       "both optimizers: adam with a rate of 1e-3 or more",
       {"optimizer.generator={lr: 1e-3, beta1: 0.9}", "optimizer.discriminator={lr: 2e-3, beta1: 0.95}"},
       {"optimizer.generator.kind=sgd", "optimizer.discriminator.kind=rmsprop"}},
      {note,
       "optimizer.discriminator: adam with beta1 of 0.9 or more",
       {"optimizer.discriminator.beta1=0.9"},
       {"optimizer.discriminator.beta1=0.5"}},
      {warning, "train.batch is 8 with batch normalization", {"train.batch=8"}, {"train.batch=9"}},
      {warning,
       "ema.decay is 0.999 without warm-up over 500 steps",
       {"ema.warmup=false", "train.steps=500", "checkpoint.every=100"},
       {"train.steps=5000"}},
      {problem,
       "watchdog.on_divergence is rollback and checkpoint.every is 10000",
       {"watchdog.on_divergence=rollback", "checkpoint.every=10000"},
       {"checkpoint.every=9999"}},
      {problem,
       "watchdog.on_divergence is rollback and checkpoint.every is 0",
       {"watchdog.on_divergence=rollback", "checkpoint.every=0"},
       {"checkpoint.every=1000"}},
      {note, "checkpoint.every is 0", {"checkpoint.every=0"}, {"checkpoint.every=5"}},
      {note, "sample.every is 0", {"sample.every=0"}, {"sample.every=5"}},
      {note, "watchdog.every is 0", {"watchdog.every=0"}, {"watchdog.every=5"}},
      {warning,
       "evaluation.generated is 512, and the features have 512 numbers",
       {scores, "evaluation.generated=512"},
       {"evaluation.metrics=kd,swd"}},
      {warning,
       "evaluation.generated is 2000, and the features have 2048 numbers",
       {scores, "evaluation.generated=2000", "evaluation.features=inception"},
       {"evaluation.features=none"}},
      {note, "evaluation.generated is 9999", {scores, "evaluation.generated=9999"}, {"evaluation.generated=10000"}},
      {note,
       "evaluation.generated is 100",
       {scores, "evaluation.generated=100", "evaluation.features=script"},
       {"evaluation.every=0"}},
      {problem, "train.batch is 64, and the data have 50 samples", {}, {"train.batch=50"}, with([](DataFacts& data) {
         data.samples = 50;
       })},
      {problem,
       "the data reach from -3 to 1, and the generator's last activation ends at ±1",
       {},
       {},
       with([](DataFacts& data) { data.least = -3; })},
      {problem, "the data reach from -1 to 1.01", {}, {}, with([](DataFacts& data) { data.largest = 1.01; })},
      {warning, "the images' pixels lie between 0 and 1 of 0 to 255", {}, {}, with([](DataFacts& data) {
         data.largest = 1 / 127.5 - 1;
       })},
      {note,
       "the data have 9999 images",
       {"data.kind=idx", "data.path=images"},
       {"data.kind=digits"},
       with([](DataFacts& data) { data.samples = 9999; })},
      {warning,
       "scores compare with 500 real images, and the features have 512 numbers",
       {scores, "evaluation.real=500"},
       {"evaluation.reference=test"}},
      {warning,
       "scores compare with 2048 real images, and the features have 2048 numbers",
       {scores, "evaluation.features=inception"},
       {"evaluation.features=classifier"},
       with([](DataFacts& data) { data.samples = 2048; })},
      {note, "scores compare with 600 real images", {scores, "evaluation.real=600"}, {"evaluation.real=0"}},
      {problem,
       "evaluation.features is classifier, and the data have no labels",
       {scores, "evaluation.features=classifier"},
       {"evaluation.features=auto"},
       with([](DataFacts& data) { data.classes = 0; })},
  };
}

std::vector<std::string> texts(const std::vector<Finding>& found) {
  std::vector<std::string> lines;
  for (const auto& finding : found) lines.push_back(one_line(finding));
  return lines;
}

// What tells the rule that made a finding from the others.
std::string rule_of(const Finding& finding) {
  return finding.keys + ": " + finding.why;
}

TEST(Findings, SaysNothingOfTheDefaults) {
  EXPECT_THAT(texts(all_of(Config{}, kManyImages)), IsEmpty());
}

TEST(Findings, EachRuleSpeaksWhereItAppliesAndOnlyThere) {
  std::set<std::string> seen;
  for (const auto& [severity, what, overrides, mended, data] : cases()) {
    SCOPED_TRACE(what);
    const auto found = all_of(parse_config("", "case", overrides), data);
    const auto finding = std::ranges::find_if(found, [&what = what, &severity = severity](const auto& each) {
      return each.what.find(what) != std::string::npos && each.severity == severity;
    });
    ASSERT_NE(finding, found.end()) << ::testing::PrintToString(texts(found));
    const auto rule = rule_of(*finding);
    seen.insert(rule);

    auto without = overrides;
    without.insert(without.end(), mended.begin(), mended.end());
    const auto& left = mended.empty() ? kManyImages : data;
    for (const auto& still : all_of(parse_config("", "mended", without), left)) {
      EXPECT_NE(rule_of(still), rule) << one_line(still);
    }
  }
  // A new rule needs a case here.
  for (const auto& rule : all_findings()) {
    EXPECT_TRUE(seen.contains(rule_of(rule))) << rule.keys << ": " << rule.why;
  }
}

TEST(Findings, EachHasItsReasonSourceAndRemedy) {
  for (const auto& rule : all_findings()) {
    SCOPED_TRACE(rule.keys);
    EXPECT_NE(rule.keys, "");
    EXPECT_GE(rule.why.size(), 20U);
    EXPECT_GE(rule.change.size(), 6U);
    // A paper with its year, a thread, or what of this program says so.
    const bool has_source =
        rule.source.find("20") != std::string::npos || rule.source.find('#') != std::string::npos ||
        rule.source.find("derived") != std::string::npos || rule.source.find("measured here") != std::string::npos ||
        rule.source.find("counted here") != std::string::npos ||
        rule.source.find("this program") != std::string::npos || rule.source.find("torch.nn") != std::string::npos;
    EXPECT_TRUE(has_source) << rule.source;
  }
}

TEST(Findings, AreOneLineEach) {
  const auto config = parse_config("", "test", {"loss=wgan"});
  EXPECT_THAT(texts(findings(config)),
              ElementsAre(AllOf(HasSubstr("warning: loss is wgan with spectral normalization: it trains badly"),
                                HasSubstr("(pfnet-research/sngan_projection#15"), HasSubstr("Change: loss=hinge"),
                                Not(HasSubstr("\n")))));
}

// What would stop a run is no finding but an error, with its source.
TEST(Findings, BatchNormalizationUnderAPenaltyIsRefused) {
  try {
    parse_config("", "test", {"discriminator.norm=batch", "penalties=[{kind: gp}]"});
    FAIL() << "not refused";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("batch normalization mixes"), HasSubstr("Gulrajani et al. 2017")));
  }
}

TEST(Findings, HaveNoWarningForAnyPreset) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SGAN_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".yaml" || entry.path().parent_path().filename() == "compare") continue;
    SCOPED_TRACE(entry.path().string());
    for (const auto& finding : findings(load_config(entry.path()))) {
      EXPECT_EQ(finding.severity, Severity::note) << one_line(finding);
    }
  }
}

}  // namespace
}  // namespace sgan
