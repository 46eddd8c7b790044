#include "configs/sweep.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "configs/error.h"
#include "configs/loader.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

constexpr const char* kSweep = R"(
base: configs/base.yaml
set: {train: {steps: 500}, discriminator: {weight: none}}
strategies:
  none:
  clip: {constraint: {kind: clip, clip: 0.02}}
  gp: {penalties: [{kind: gp, weight: 3}], train: {critic_steps: 5}}
baseline: none
seeds: [4, 2]
scores: [fd, recall]
target: 12.5
budget: {images: 64000}
output: outputs/x
)";

class LoadSweep : public testing::Test {
 protected:
  LoadSweep() { write("configs/base.yaml", "name: shared\ngenerator: {latent: 16}\n"); }

  fs::path write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  std::string error(const std::string& text, const std::vector<std::string>& overrides = {}) const {
    try {
      load_sweep(write("s.yaml", text), overrides);
    } catch (const UserError& error) {
      EXPECT_EQ(error.kind(), UserError::Kind::usage);
      return error.what();
    }
    return "no error";
  }
  // An error of a sweep that is right but for these lines.
  std::string error_with(const std::string& lines) const {
    return error("base: configs/base.yaml\nstrategies: {a: {}, b: {loss: wgan}}\n" + lines);
  }

  TemporaryFolder folder_;
};

TEST_F(LoadSweep, AppliesBaseSetAndStrategyInThisOrder) {
  const auto sweep = load_sweep(write("my-sweep.yaml", kSweep));
  EXPECT_EQ(sweep.name, "my-sweep");
  EXPECT_EQ(sweep.output, "outputs/x");
  EXPECT_EQ(sweep.baseline, "none");
  EXPECT_THAT(sweep.seeds, ElementsAre(4, 2));
  EXPECT_THAT(sweep.scores, ElementsAre("fd", "recall"));
  EXPECT_THAT(sweep.target, Optional(12.5));
  EXPECT_EQ(sweep.budget.images, 64000);
  ASSERT_EQ(sweep.strategies.size(), 3u);
  for (const auto& strategy : sweep.strategies) {
    EXPECT_EQ(strategy.config.generator.latent, 16) << strategy.name;
    EXPECT_EQ(strategy.config.train.steps, 500) << strategy.name;
    EXPECT_EQ(strategy.config.discriminator.weight, WeightKind::none) << strategy.name;
    EXPECT_EQ(strategy.config.name, strategy.name);
  }
  EXPECT_THAT(differing_keys(sweep.base, sweep.strategies[0].config), ElementsAre("name"));
  EXPECT_THAT(differing_keys(sweep.base, sweep.strategies[1].config),
              ElementsAre("name", "constraint.kind", "constraint.clip"));
  EXPECT_THAT(differing_keys(sweep.base, sweep.strategies[2].config),
              ElementsAre("name", "penalties", "train.critic_steps"));
}

TEST_F(LoadSweep, OverridesHaveTheLastWordForEveryStrategy) {
  const auto sweep = load_sweep(write("s.yaml", kSweep), {"train.critic_steps=2", "generator.latent=8"});
  EXPECT_EQ(sweep.base.generator.latent, 8);
  for (const auto& strategy : sweep.strategies) {
    EXPECT_EQ(strategy.config.generator.latent, 8);
    EXPECT_EQ(strategy.config.train.critic_steps, 2);
  }
}

TEST_F(LoadSweep, HasDefaults) {
  const auto sweep = load_sweep(write("s.yaml", "base: configs/base.yaml\nstrategies: {b: {}, a: {loss: wgan}}\n"));
  EXPECT_EQ(sweep.baseline, "b");
  EXPECT_THAT(sweep.seeds, ElementsAre(0, 1, 2));
  EXPECT_THAT(sweep.scores, ElementsAre("fd", "precision", "recall"));
  EXPECT_FALSE(sweep.target.has_value());
  write("configs/ring.yaml", "data: {kind: ring}\ngenerator: {kind: mlp}\ndiscriminator: {kind: mlp}\n");
  const auto toy = load_sweep(write("t.yaml", "base: configs/ring.yaml\nstrategies: {a: {}}\n"));
  EXPECT_EQ(toy.scores.front(), "w1");
}

TEST_F(LoadSweep, CrossesStrategiesWithSettings) {
  const auto sweep = load_sweep(write("s.yaml", R"(
base: configs/base.yaml
strategies: {x: {loss: wgan, train: {batch: 16}}, y: {loss: ns}}
settings: {A: {train: {batch: 32, critic_steps: 2}}, B: {}}
baseline: y.B
)"));
  std::vector<std::string> names;
  std::vector<int64_t> batches;
  for (const auto& strategy : sweep.strategies) {
    names.push_back(strategy.name);
    batches.push_back(strategy.config.train.batch);
  }
  EXPECT_THAT(names, ElementsAre("x.A", "x.B", "y.A", "y.B"));
  EXPECT_THAT(batches, ElementsAre(16, 16, 32, 64));
}

// The contract of a comparison's folder: base.yaml beside sweep.yaml.
TEST_F(LoadSweep, DumpReadsBackToTheSameSweep) {
  auto sweep = load_sweep(write("s.yaml", kSweep));
  sweep.name = "1e3";
  write("base.yaml", dump_config(sweep.base));
  const auto text = dump_sweep(sweep, "base.yaml");
  const auto again = load_sweep(write("sweep.yaml", text));
  EXPECT_EQ(again.name, "1e3");
  EXPECT_EQ(again.baseline, sweep.baseline);
  EXPECT_EQ(again.seeds, sweep.seeds);
  EXPECT_EQ(again.scores, sweep.scores);
  EXPECT_EQ(again.target, sweep.target);
  ASSERT_EQ(again.strategies.size(), sweep.strategies.size());
  for (size_t i = 0; i < sweep.strategies.size(); ++i) {
    EXPECT_EQ(again.strategies[i].name, sweep.strategies[i].name);
    EXPECT_EQ(dump_config(again.strategies[i].config), dump_config(sweep.strategies[i].config));
  }
  EXPECT_EQ(dump_sweep(again, "base.yaml"), text);
}

TEST_F(LoadSweep, ErrorsNamePlaceAndCure) {
  EXPECT_THAT(error("base: configs/base.yaml\nstrategys: {a: {}}\n"),
              AllOf(HasSubstr("s.yaml:2:1: "), HasSubstr("unknown key 'strategys'; did you mean 'strategies'?")));
  EXPECT_THAT(error("strategies: {a: {}}\n"), HasSubstr("no key base"));
  EXPECT_THAT(error("base: configs/base.yaml\n"), HasSubstr("no key strategies"));
  EXPECT_THAT(error("base: configs/bse.yaml\nstrategies: {a: {}}\n"),
              AllOf(HasSubstr("s.yaml:1:1: base: "), HasSubstr("did you mean")));
  EXPECT_THAT(error("base: configs/base.yaml\nstrategies:\n  a: {discriminator: {wieght: none}}\n"),
              AllOf(HasSubstr("s.yaml:3:23: "), HasSubstr("did you mean 'discriminator.weight'?")));
  EXPECT_THAT(
      error("base: configs/base.yaml\nstrategies:\n  a: {discriminator: {norm: batch}, penalties: [{kind: gp}]}\n"),
      AllOf(HasSubstr("s.yaml:3:3: strategy 'a': "), HasSubstr("batch normalization")));
  EXPECT_THAT(error("base: configs/base.yaml\nstrategies: {a: {extends: b.yaml}}\n"), HasSubstr("only the base"));
  EXPECT_THAT(error("base: configs/base.yaml\nstrategies: {a: {seed: 3}}\n"), HasSubstr("the key seeds lists them"));
  EXPECT_THAT(error("base: configs/base.yaml\nstrategies: {a: {}, a: {}}\n"), HasSubstr("duplicate key 'a'"));
  EXPECT_THAT(error("base: configs/base.yaml\nstrategies: {../a: {}}\n"), HasSubstr("for it names folders"));
  EXPECT_THAT(error("base: configs/base.yaml\nstrategies: []\n"), HasSubstr("allowed: names with their differences"));
  EXPECT_THAT(error("[1]"), HasSubstr("got a list"));
  EXPECT_THAT(error_with("baseline: c\n"), HasSubstr("baseline: got 'c', allowed: a, b."));
  EXPECT_THAT(error_with("seeds: [1, 1]\n"), HasSubstr("seeds: got [1,1]"));
  EXPECT_THAT(error_with("seeds: [a]\n"), HasSubstr("seeds: got [a]"));
  EXPECT_THAT(error_with("seeds: {}\n"), HasSubstr("seeds: got"));
  EXPECT_THAT(error_with("scores: []\n"), HasSubstr("scores: got an empty list"));
  EXPECT_THAT(error_with("scores: [fd, fd]\n"), HasSubstr("each once"));
  EXPECT_THAT(error_with("target: low\n"), HasSubstr("target: got 'low', allowed: a number"));
  EXPECT_THAT(error_with("budget: {steps: 5, images: 5}\n"), HasSubstr("budget: got not one key"));
  EXPECT_THAT(error_with("budget: {steps: 0}\n"), HasSubstr("budget: got 'steps: 0'"));
  EXPECT_THAT(error_with("budget: {hours: 1}\n"), HasSubstr("budget: got 'hours: 1'"));
}

TEST_F(LoadSweep, StrategiesThatAreTheSameAreRefused) {
  const std::string text = "base: configs/base.yaml\nstrategies: {a: {}, b: {loss: wgan}}\n";
  EXPECT_THAT(error(text, {"loss=ns"}), AllOf(HasSubstr("'a' and 'b' are the same config"), HasSubstr("an override")));
}

// A megabyte of names or ranges must not become gigabytes before it is refused.
TEST_F(LoadSweep, ManyStrategiesAndSeedsAreRefusedBeforeTheyAreMade) {
  const auto names = [](const std::string& key, int count) {
    std::string text = key + ":\n";
    for (int i = 0; i < count; ++i) text += fmt::format("  {}{}:\n", key.substr(0, 2), i);
    return text;
  };
  const std::string base = "base: configs/base.yaml\n";
  EXPECT_THAT(error(base + names("strategies", 30'000) + names("settings", 30'000)),
              HasSubstr("900000000 strategies, allowed: at most 200"));
  std::string ranges;
  for (int i = 0; i < 50'000; ++i) ranges += fmt::format("{}{}-{}", i > 0 ? "," : "", 1000LL * i, 1000LL * i + 999);
  EXPECT_EQ(parse_sweep_seeds(ranges), std::nullopt);  // at once, where listing them would take minutes
}

TEST(ParseSweep, TakesItsBaseFromTheCaller) {
  const auto base = parse_config("generator: {latent: 16}\n", "base.yaml");
  const auto sweep = parse_sweep("base: no-such-file.yaml\nstrategies: {a: {}, b: {loss: wgan}}\n", "s.yaml", base);
  EXPECT_EQ(sweep.base.generator.latent, 16);
  EXPECT_EQ(sweep.strategies.at(1).config.generator.latent, 16);
  EXPECT_EQ(sweep.name, "s");
}

TEST(ParseSweepSeeds, TakesListsAndRanges) {
  EXPECT_THAT(parse_sweep_seeds("3"), Optional(ElementsAre(3)));
  EXPECT_THAT(parse_sweep_seeds("0-3"), Optional(ElementsAre(0, 1, 2, 3)));
  EXPECT_THAT(parse_sweep_seeds("9223372036854775806-9223372036854775807"), Optional(testing::SizeIs(2)));
  EXPECT_THAT(parse_sweep_seeds("5,0-1,9"), Optional(ElementsAre(5, 0, 1, 9)));
  for (const char* bad : {"", "a", "1,", ",1", "1,1", "0-2,1", "3-1", "-1", "1-", "0-1000000000", "0.5", "1 2"}) {
    EXPECT_FALSE(parse_sweep_seeds(bad).has_value()) << bad;
  }
}

TEST(SweepPresets, EachLoads) {
  size_t presets = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(SGAN_SOURCE_DIR) / "configs/compare")) {
    SCOPED_TRACE(entry.path().string());
    ++presets;
    const auto sweep = load_sweep(entry.path());
    EXPECT_EQ(sweep.name, entry.path().stem().string());
    EXPECT_GE(sweep.strategies.size(), 4u);
    EXPECT_GE(sweep.seeds.size(), 3u);
    std::string first_line;
    std::getline(std::ifstream(entry.path()), first_line);
    EXPECT_TRUE(first_line.starts_with("# ")) << "a preset begins with its source or purpose";
  }
  EXPECT_EQ(presets, 5u);
}

// Table 1 of Miyato et al. 2018.
TEST(SweepPresets, SettingsAreThePublishedOnes) {
  const auto sweep = load_sweep(fs::path(SGAN_SOURCE_DIR) / "configs/compare/cifar10-settings.yaml");
  struct Row {
    const char* setting;
    double lr, beta1, beta2;
    int64_t critic_steps;
  };
  constexpr Row kRows[] = {{"A", 1e-4, 0.5, 0.9, 5}, {"B", 1e-4, 0.5, 0.999, 1}, {"C", 2e-4, 0.5, 0.999, 1},
                           {"D", 1e-3, 0.5, 0.9, 5}, {"E", 1e-3, 0.5, 0.999, 5}, {"F", 1e-3, 0.9, 0.999, 5}};
  EXPECT_EQ(sweep.strategies.size(), 24u);
  for (const auto& strategy : sweep.strategies) {
    const auto setting = strategy.name.substr(strategy.name.find('.') + 1);
    const auto row = std::ranges::find(kRows, setting, &Row::setting);
    ASSERT_NE(row, std::end(kRows)) << strategy.name;
    for (const auto& optimizer : {strategy.config.optimizer.generator, strategy.config.optimizer.discriminator}) {
      EXPECT_EQ(optimizer.lr, row->lr) << strategy.name;
      EXPECT_EQ(optimizer.beta1, row->beta1) << strategy.name;
      EXPECT_EQ(optimizer.beta2, row->beta2) << strategy.name;
    }
    EXPECT_EQ(strategy.config.train.critic_steps, row->critic_steps) << strategy.name;
  }
}

}  // namespace
}  // namespace sgan
