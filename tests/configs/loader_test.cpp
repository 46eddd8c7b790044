#include "configs/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "configs/error.h"
#include "configs/schema.h"
#include "tests/configs/random_config.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using Strings = std::vector<std::string>;

// The text of the usage error that a call throws.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const UserError& error) {
    EXPECT_EQ(error.kind(), UserError::Kind::usage);
    return error.what();
  }
  return "no error";
}

std::string error_in(const std::string& text, const Strings& overrides = {}) {
  return error_of([&] { parse_config(text, "a.yaml", overrides); });
}

std::string override_error(const std::string& text) {
  return error_in("", {text});
}

// A folder for one test, removed after it.
class LoadConfig : public testing::Test {
 protected:
  LoadConfig() {
    std::string name = (fs::temp_directory_path() / "sgan-configs-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~LoadConfig() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  std::string error(const fs::path& file) const {
    return error_of([&] { load_config(file); });
  }

  fs::path folder_;
};

// ---- What is read --------------------------------------------------------------------------------------------------

TEST(ParseConfig, AnEmptyTextIsTheDefaults) {
  for (const char* text : {"", "# a comment\n", "---\n", "{}"}) {
    EXPECT_EQ(dump_config(parse_config(text, "a.yaml")), dump_config(Config{})) << text;
  }
}

TEST(ParseConfig, ReadsEveryType) {
  const Config config = parse_config(R"(
name: "a b"
seed: 7
data: {kind: folder, path: '/x y', flip: true}
loss: "wgan"
penalties:
  - {kind: r1, weight: 0.5, every: 16}
  - kind: r2
optimizer:
  discriminator: {lr: 1e-3, momentum: 0}
train:
  boost: {critic_steps: 100}
)",
                                     "a.yaml");
  EXPECT_EQ(config.name, "a b");
  EXPECT_EQ(config.seed, 7);
  EXPECT_EQ(config.data.kind, DataKind::folder);
  EXPECT_EQ(config.data.path, "/x y");
  EXPECT_TRUE(config.data.flip);
  EXPECT_EQ(config.loss, LossKind::wgan);
  ASSERT_EQ(config.penalties.size(), 2u);
  EXPECT_EQ(config.penalties[0].kind, PenaltyKind::r1);
  EXPECT_EQ(config.penalties[0].weight, 0.5);
  EXPECT_EQ(config.penalties[0].every, 16);
  EXPECT_EQ(config.penalties[1].kind, PenaltyKind::r2);
  EXPECT_EQ(config.penalties[1].weight, 10.0);
  EXPECT_EQ(config.optimizer.discriminator.lr, 1e-3);
  EXPECT_EQ(config.optimizer.generator.lr, 2e-4);
  EXPECT_EQ(config.train.boost.critic_steps, 100);
}

TEST(ParseConfig, AliasesStandForTheirAnchor) {
  const Config config = parse_config("optimizer: {generator: &adam {lr: 0.5}, discriminator: *adam}", "a.yaml");
  EXPECT_EQ(config.optimizer.discriminator.lr, 0.5);
}

TEST(ParseConfig, OverridesComeLastAndInOrder) {
  const Config config = parse_config(
      "train: {steps: 5, batch: 8}\npenalties: [{kind: gp}]", "a.yaml",
      {"train.steps=6", "train={steps: 7, critic_steps: 3}", "name=a=b", "penalties=[]", "data.path=/a b", "seed= 9"});
  EXPECT_EQ(config.train.steps, 7);
  EXPECT_EQ(config.train.batch, 8);
  EXPECT_EQ(config.train.critic_steps, 3);
  EXPECT_EQ(config.name, "a=b");
  EXPECT_EQ(config.seed, 9);
  EXPECT_TRUE(config.penalties.empty());
  const Config penalized = parse_config("", "a.yaml", {"penalties=[{kind: gp_one_sided, weight: 3}]"});
  EXPECT_EQ(penalized.penalties.at(0).weight, 3.0);
}

TEST_F(LoadConfig, ExtendsMergesSectionsAndReplacesLists) {
  write("base.yaml", "train: {steps: 10, batch: 20}\npenalties: [{kind: gp}, {kind: r1}]\nname: base\n");
  write("sub/middle.yaml", "extends: ../base.yaml\ntrain: {batch: 30}\n");
  const fs::path top = write("sub/top.yaml", "penalties: [{kind: dragan}]\nextends: middle.yaml\n");
  const Config config = load_config(top, {"name=top"});
  EXPECT_EQ(config.train.steps, 10);
  EXPECT_EQ(config.train.batch, 30);
  ASSERT_EQ(config.penalties.size(), 1u);
  EXPECT_EQ(config.penalties[0].kind, PenaltyKind::dragan);
  EXPECT_EQ(config.name, "top");
}

// ---- What is refused -----------------------------------------------------------------------------------------------

TEST(ParseConfig, UnknownKeysNameTheirNeighbours) {
  EXPECT_EQ(
      error_in("name: a\ntrain:\n  bacth: 5\n"),
      "a.yaml:3:3: unknown key 'train.bacth'; did you mean 'train.batch'? train has the keys steps, seconds, batch, "
      "generator_batch, critic_steps, boost. 'spectral-gan config' explains every key.");
  EXPECT_THAT(error_in("lr: 1"), StartsWith("a.yaml:1:1: unknown key 'lr'; did you mean 'optimizer.generator.lr' or "
                                            "'optimizer.discriminator.lr'? A config has the keys name, seed, "));
  EXPECT_THAT(error_in("disciminator: {}"), HasSubstr("did you mean 'discriminator'?"));
  EXPECT_THAT(error_in("zzzzzz: 1"), Not(HasSubstr("did you mean")));
  EXPECT_THAT(error_in("train.batch: 5"), StartsWith("a.yaml:1:1: unknown key 'train.batch'; dots are for the command "
                                                     "line, here nest 'batch:' below 'train:'."));
  EXPECT_THAT(error_in("loss: {kind: hinge}"), StartsWith("a.yaml:1:7: loss: got a section, allowed: choice, ns, "));
}

TEST(ParseConfig, DuplicatesAreRefusedAtEveryDepth) {
  EXPECT_EQ(error_in("seed: 1\nname: b\nseed: 1\n"), "a.yaml:3:1: duplicate key 'seed'; keep one of the two.");
  EXPECT_THAT(error_in("train: {boost: {first: 1, first: 2}}"), StartsWith("a.yaml:1:27: duplicate key 'first'"));
  EXPECT_THAT(error_in("penalties: [{kind: gp, kind: r1}]"), StartsWith("a.yaml:1:24: duplicate key 'kind'"));
  EXPECT_THAT(error_in("train: {steps: 5}\nname: a\ntrain: {batch: 5}"),
              StartsWith("a.yaml:3:1: duplicate key 'train'"));
}

TEST(ParseConfig, WrongTypesAndRangesSayWhatIsAllowed) {
  EXPECT_EQ(
      error_in("train:\n  batch: 1"),
      "a.yaml:2:10: train.batch: got '1', allowed: integer, 2 to 65536. 'spectral-gan config' explains every key.");
  EXPECT_THAT(error_in("train: {batch: many}"), StartsWith("a.yaml:1:16: train.batch: got 'many', allowed: integer, "));
  EXPECT_THAT(error_in("train: {batch: 6.5}"), HasSubstr("got '6.5'"));
  EXPECT_THAT(error_in("train: {batch: [64]}"), HasSubstr("train.batch: got a list, allowed: integer, 2 to 65536."));
  EXPECT_THAT(error_in("train: {batch: {a: 1}}"), HasSubstr("train.batch: got a section"));
  EXPECT_THAT(error_in("train: {batch: '64'}"),
              StartsWith("a.yaml:1:16: train.batch: got the quoted text '64', allowed: integer, 2 to 65536; drop the"));
  EXPECT_THAT(error_in("data: {flip: yes}"), HasSubstr("data.flip: got 'yes', allowed: true, false."));
  EXPECT_THAT(error_in("seed: 9223372036854775808"),
              HasSubstr("a.yaml:1:7: seed: got '9223372036854775808', allowed:"));
  EXPECT_THAT(error_in("ema: {decay: .nan}"), HasSubstr("got '.nan', allowed: number, at least 0 and below 1."));
  EXPECT_THAT(error_in("spectral: {scale: .inf}"), HasSubstr("got '.inf', allowed: number, above 0, finite."));
  EXPECT_THAT(error_in("constraint: {clip: .inf}"),
              HasSubstr("got '.inf', allowed: number, above 0 and below 3.4e+38."));
  EXPECT_THAT(error_in("constraint: {clip: 1e999}"), HasSubstr("got '1e999'"));
  EXPECT_THAT(error_in("seed: !!int 5"), HasSubstr("seed: got the YAML tag 'tag:yaml.org,2002:int'; remove it."));
}

TEST(ParseConfig, BadChoicesAreListed) {
  EXPECT_EQ(
      error_in("loss: hnge"),
      "a.yaml:1:7: loss: got 'hnge', allowed: ns, minimax, wgan, hinge, lsgan, relativistic; did you mean 'hinge'? "
      "'spectral-gan config' explains every key.");
}

TEST(ParseConfig, SectionsAndValuesAreNotConfused) {
  EXPECT_THAT(error_in("train: 5"), StartsWith("a.yaml:1:8: train: got '5', allowed: a section with the keys steps, "));
  EXPECT_THAT(error_in("train: [5]"), HasSubstr("train: got a list, allowed: a section"));
  EXPECT_THAT(error_in("[a]"), StartsWith("a.yaml:1:1: the config: got a list, allowed: a section with the keys name"));
  EXPECT_THAT(error_in("hello"), StartsWith("a.yaml:1:1: the config: got 'hello'"));
  EXPECT_THAT(error_in("? [a]\n: 1"), StartsWith("a.yaml:1:1: got a list for a key, allowed: a name."));
}

TEST(ParseConfig, NullsAreRefusedAtTheirKey) {
  for (const char* null : {"", "~", "null", "# nothing"}) {
    EXPECT_THAT(error_in("name: a\nloss: " + std::string(null)),
                AllOf(StartsWith("a.yaml:2:"), HasSubstr("loss: got nothing (null), allowed: choice, ns, ")))
        << null;
  }
  EXPECT_THAT(error_in("name: a\ntrain:\n"), StartsWith("a.yaml:2:1: train: got nothing (null), allowed: a section"));
  EXPECT_THAT(error_in("penalties:"), StartsWith("a.yaml:1:1: penalties: got nothing (null), allowed: a list"));
  EXPECT_THAT(error_in("~: 1"), HasSubstr("got nothing (null) for a key"));
}

TEST(ParseConfig, PenaltyItemsAreCheckedLikeKeys) {
  EXPECT_THAT(error_in("penalties: gp"), StartsWith("a.yaml:1:12: penalties: got 'gp', allowed: a list, such as "
                                                    "[{kind: gp, weight: 10}] or []."));
  EXPECT_THAT(error_in("penalties: [gp]"),
              StartsWith("a.yaml:1:13: penalties[0]: got 'gp', allowed: an item such as "));
  EXPECT_THAT(error_in("penalties: [{kind: gp}, {weight: 1}]"),
              StartsWith("a.yaml:1:25: penalties[1]: got no kind, allowed: gp, gp_one_sided, "));
  EXPECT_THAT(error_in("penalties:\n- kind: gp\n  wieght: 1"),
              StartsWith("a.yaml:3:3: penalties[0]: unknown key 'wieght'; did you mean 'weight'? An item has the keys "
                         "kind, weight, every."));
  EXPECT_THAT(error_in("penalties: [{kind: gp, weight: -1}]"),
              StartsWith("a.yaml:1:32: penalties[0].weight: got '-1', allowed: number, at least 0, finite."));
}

TEST(ParseConfig, BrokenYamlIsPlaced) {
  EXPECT_THAT(error_in("name: a\nseed: [1\n"), AllOf(StartsWith("a.yaml:3:1: not valid YAML: "), HasSubstr("check")));
  EXPECT_THAT(error_in("name: a\n\tseed: 1"), StartsWith("a.yaml:2:"));
  EXPECT_THAT(error_in("name: *nobody"), StartsWith("a.yaml:1:7: not valid YAML: the referenced anchor"));
  EXPECT_THAT(error_in("seed: 1\n---\nseed: 2"), StartsWith("a.yaml:2:1: the YAML document ends before this; "));
  EXPECT_THAT(error_in("[a], b"), StartsWith("a.yaml:1:4: the YAML document ends before this; "));
  EXPECT_THAT(error_in(", a"), StartsWith("a.yaml:1:1: the YAML document ends before this; "));
  EXPECT_EQ(error_in("---\nseed: 1\n...\n"), "no error");
  EXPECT_THAT(error_in("seed: 1\n na\x04me: b"), StartsWith("a.yaml:2:4: got the control character 0x04"));
  EXPECT_THAT(error_in(std::string("seed: 1\0", 8)), StartsWith("a.yaml:1:8: got the control character 0x00"));
}

TEST(ParseConfig, BombsAreRefused) {
  EXPECT_THAT(error_in("x: " + std::string(10'000, '[')), HasSubstr("nested too deeply"));
  EXPECT_THAT(error_in(std::string((1 << 20) + 1, ' ')), StartsWith("a.yaml: larger than 1 MiB"));
  EXPECT_THAT(error_in("train: &a {boost: *a}"), HasSubstr("unknown key 'train.boost.boost'"));  // a circle
  std::string laughs = "train: {steps: [&a0 [1, 1]";
  for (int i = 1; i < 40; ++i)
    laughs += ", &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + ", *a" + std::to_string(i - 1) + "]";
  EXPECT_THAT(error_in(laughs + "]}"), HasSubstr("train.steps: got a list"));
  std::string penalties = "penalties: [&a {kind: gp}";
  for (int i = 0; i < 32; ++i) penalties += ", *a";
  EXPECT_THAT(error_in(penalties + "]"), HasSubstr("penalties: got 33 items, allowed: at most 32"));
  // What is taken must come back from its dump, which has the limit of a file too.
  EXPECT_THAT(error_in("data: {path: '" + std::string(4097, 'a') + "'}"), HasSubstr("data.path: got 'aaa"));
}

TEST(ParseConfig, ErrorsShowNoControlCharactersOfTheInput) {
  EXPECT_THAT(error_in("loss: \"\\e[31m\""), HasSubstr("got '?[31m'"));
}

TEST(ParseConfig, OverrideErrorsQuoteTheOverride) {
  EXPECT_EQ(override_error("train.batch=1"),
            "command line, 'train.batch=1': train.batch: got '1', allowed: integer, 2 to 65536. 'spectral-gan config' "
            "explains every key.");
  EXPECT_THAT(override_error("train.steps"),
              StartsWith("command line, 'train.steps': got no key and '=', allowed: key="));
  EXPECT_THAT(override_error("=5"), HasSubstr("got no key and '='"));
  EXPECT_THAT(override_error("trian.steps=5"), HasSubstr("unknown key 'trian.steps'; did you mean 'train.steps'?"));
  EXPECT_THAT(override_error("train={bacth: 3}"), HasSubstr("unknown key 'train.bacth'; did you mean 'train.batch'?"));
  EXPECT_THAT(override_error("penalties.0.weight=5"), HasSubstr("'penalties' is one value (list, a list of {kind"));
  EXPECT_THAT(override_error("penalties=[{kind: gp"),
              StartsWith("command line, 'penalties=[{kind: gp': not valid YAML"));
  EXPECT_THAT(override_error("name="), HasSubstr("name: got nothing (null)"));
  EXPECT_THAT(override_error("train=5"), HasSubstr("train: got '5', allowed: a section"));
  EXPECT_THAT(override_error("extends=base.yaml"), HasSubstr("extends is allowed in files only"));
}

TEST_F(LoadConfig, FilesThatCannotBeReadAreNamed) {
  write("spectral.yaml", "");
  EXPECT_EQ(error(folder_ / "spectral.yml"), (folder_ / "spectral.yml").string() +
                                                 ": there is no such file; did you mean '" +
                                                 (folder_ / "spectral.yaml").string() + "'?");
  EXPECT_EQ(error(folder_ / "no/other"), (folder_ / "no/other").string() + ": there is no such file; check the path.");
  EXPECT_THAT(error(folder_), StartsWith(folder_.string() + ": got a folder, allowed: a config file"));
  EXPECT_THAT(error("/dev/zero"), StartsWith("/dev/zero: larger than 1 MiB"));
}

TEST_F(LoadConfig, ExtendsErrorsNameBothFiles) {
  const std::string here = (folder_ / "a.yaml").string();
  EXPECT_THAT(error(write("a.yaml", "name: a\nextends: gone.yaml")),
              StartsWith(here + ":2:10: extends: " + (folder_ / "gone.yaml").string() + ": there is no such file; "));
  EXPECT_THAT(error(write("a.yaml", "extends: .")), HasSubstr(": got a folder"));
  EXPECT_THAT(error(write("a.yaml", "extends: [b.yaml]")),
              StartsWith(here + ":1:10: extends: got a list, allowed: the"));
  EXPECT_THAT(error(write("a.yaml", "extends:")), HasSubstr("extends: got nothing (null)"));
  EXPECT_THAT(error(write("a.yaml", "train: {extends: b.yaml}")), HasSubstr("unknown key 'train.extends'"));
  write("b.yaml", "\nseed: -1\n");
  EXPECT_THAT(error(write("a.yaml", "extends: b.yaml")), StartsWith((folder_ / "b.yaml").string() + ":2:7: seed: got"));
}

TEST_F(LoadConfig, CirclesAndLongChainsAreRefused) {
  write("a.yaml", "extends: sub/b.yaml");
  write("sub/b.yaml", "extends: ../a.yaml");
  EXPECT_THAT(error(folder_ / "a.yaml"), AllOf(HasSubstr("b.yaml:1:10: extends: got a circle, "), HasSubstr(" -> ")));
  EXPECT_THAT(error(write("self.yaml", "extends: ./self.yaml")), HasSubstr("self.yaml:1:10: extends: got a circle"));
  write("0.yaml", "seed: 3");
  for (int i = 1; i <= 16; ++i) write(std::to_string(i) + ".yaml", "extends: " + std::to_string(i - 1) + ".yaml");
  EXPECT_EQ(load_config(folder_ / "15.yaml").seed, 3);
  EXPECT_THAT(error(folder_ / "16.yaml"), HasSubstr("extends: got more than 16 files"));
}

// ---- Values that do not go together --------------------------------------------------------------------------------

TEST(CheckConfig, PointsInThePlaneNeedFullyConnectedNetworks) {
  EXPECT_THAT(error_in("", {"data.kind=ring", "discriminator.kind=mlp"}),
              StartsWith("a.yaml: generator.kind is dcgan, but data.kind ring has points in the plane, no images; set "
                         "generator.kind=mlp"));
  EXPECT_THAT(error_in("", {"data.kind=grid", "generator.kind=mlp"}),
              StartsWith("a.yaml: discriminator.kind is dcgan"));
  EXPECT_EQ(error_in("", {"data.kind=swiss_roll", "generator.kind=mlp", "discriminator.kind=mlp"}), "no error");
  EXPECT_EQ(error_in("", {"generator.kind=mlp", "discriminator.kind=mlp"}), "no error");
}

bool acts_on_weights(PenaltyKind kind) {
  return kind == PenaltyKind::spectral || kind == PenaltyKind::orthogonal;
}

TEST(CheckConfig, BatchStatisticsExcludeGradientPenalties) {
  for (const auto& [kind, name] : Names<PenaltyKind>::table) {
    const std::string penalty = "penalties=[{kind: orthogonal}, {kind: " + std::string(name) + "}]";
    for (const std::string norm : {"batch", "mean_only_batch"}) {
      const auto error = error_in("", {"discriminator.norm=" + norm, penalty});
      if (acts_on_weights(kind)) {
        EXPECT_EQ(error, "no error");
      } else {
        EXPECT_THAT(
            error,
            AllOf(HasSubstr("discriminator.norm is " + norm + ", but penalties has " + std::string(name)),
                  HasSubstr("each sample's own gradient"), HasSubstr("set discriminator.norm to layer or none")));
      }
    }
    for (const std::string norm : {"layer", "layer_position", "instance", "rms", "scale_sample", "scale_position"}) {
      EXPECT_EQ(error_in("", {"discriminator.norm=" + norm, "generator.norm=batch", penalty}), "no error");
    }
  }
  EXPECT_EQ(error_in("", {"discriminator.norm=batch"}), "no error");
  EXPECT_EQ(error_in("", {"constraint.kind=clip", "penalties=[{kind: gp}]"}), "no error");
}

TEST(CheckConfig, GradientNormalizationExcludesBatchStatisticsAndGradientPenalties) {
  const std::string on = "discriminator.gradient_normalization=true";
  EXPECT_EQ(error_in("", {on}), "no error");
  EXPECT_EQ(error_in("", {on, "discriminator.norm=layer", "generator.norm=batch"}), "no error");
  for (const std::string norm : {"batch", "mean_only_batch"}) {
    EXPECT_THAT(error_in("", {on, "discriminator.norm=" + norm}),
                AllOf(HasSubstr("discriminator.norm is " + norm + ", but discriminator.gradient_normalization is true"),
                      HasSubstr("each sample's own gradient")));
  }
  for (const auto& [kind, name] : Names<PenaltyKind>::table) {
    const auto error = error_in("", {on, "penalties=[{kind: " + std::string(name) + "}]"});
    if (acts_on_weights(kind)) {
      EXPECT_EQ(error, "no error");
    } else {
      EXPECT_THAT(error, AllOf(HasSubstr("gradient_normalization is true, but penalties has " + std::string(name)),
                               HasSubstr("third"), HasSubstr("take the penalty out")));
    }
  }
}

TEST(CheckConfig, InstanceNormNeedsImages) {
  for (const std::string network : {"generator", "discriminator"}) {
    EXPECT_EQ(error_in("", {network + ".norm=instance"}), "no error");
    EXPECT_THAT(error_in("", {network + ".norm=instance", network + ".kind=mlp"}),
                AllOf(HasSubstr(network + ".norm is instance"), HasSubstr(network + ".kind mlp has none"),
                      HasSubstr("set " + network + ".norm to layer, rms or none")));
  }
}

TEST(CheckConfig, DataAndScheduleAreComplete) {
  EXPECT_THAT(error_in("", {"data.kind=folder"}),
              HasSubstr("data.kind is folder, but data.path is empty; set data.path"));
  EXPECT_THAT(error_in("", {"data.size=7"}), HasSubstr("data.size: got 7, allowed: 0 or 8 to 256."));
  EXPECT_EQ(error_in("", {"data.size=8"}), "no error");
  EXPECT_THAT(error_in("", {"data.channels=2"}), HasSubstr("data.channels: got 2, allowed: 0, 1 or 3."));
  EXPECT_THAT(error_in("", {"schedule={kind: linear, start: 5}", "train.steps=5"}),
              HasSubstr("schedule.start is 5, but train.steps is 5"));
  EXPECT_EQ(error_in("", {"schedule={kind: linear, start: 4}", "train.steps=5"}), "no error");
  EXPECT_EQ(error_in("", {"schedule={kind: constant, start: 5}", "train.steps=5"}), "no error");
  EXPECT_THAT(error_in("", {"schedule.kind=linear", "train.seconds=5"}), HasSubstr("train.seconds may end the run"));
}

// ---- What is written -----------------------------------------------------------------------------------------------

// Takes out what check_config refuses, so that only reading and writing are tested.
Config compatible(Config config) {
  config.data.kind = DataKind::folder;
  config.data.size = 64;
  config.data.channels = 3;
  config.generator.norm = config.discriminator.norm = NormKind::layer;
  config.discriminator.gradient_normalization = false;
  if (config.discriminator.weight == WeightKind::weight_norm) config.constraint.kind = ConstraintKind::none;
  if (config.discriminator.quantizer != QuantizerKind::none) config.constraint.kind = ConstraintKind::none;
  if (config.generator.quantizer == QuantizerKind::none) config.quantizer.activation_bits = 0;
  for (auto* bits : {&config.quantizer.bits, &config.quantizer.first_last_bits, &config.quantizer.activation_bits}) {
    if (*bits == 1) *bits = 2;
  }
  if (config.ema.decay == 0) config.sample.weights = SampleWeights::raw;
  config.schedule.start = 0;
  if (config.schedule.kind == ScheduleKind::linear) config.train.seconds = 0;
  config.train.generator_batch = 0;
  if (config.data.path.empty()) config.data.path = "a";
  return config;
}

// The schema's own texts could hide lost digits.
std::vector<double> numbers(const Config& config) {
  const OptimizerOptions& adam = config.optimizer.generator;
  return {config.data.std,
          config.spectral.eps,
          config.constraint.clip,
          config.ema.decay,
          adam.lr,
          adam.beta1,
          adam.beta2,
          adam.alpha,
          adam.momentum,
          adam.eps,
          config.penalties.at(0).weight};
}

TEST(CheckConfig, RefusesWhatContradictsItself) {
  const auto error = [](const std::string& text) {
    try {
      parse_config(text, "a.yaml");
    } catch (const UserError& refusal) {
      return std::string(refusal.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(error("constraint: {kind: clip}\ndiscriminator: {weight: weight_norm}\n"),
              HasSubstr("direction and gain clipping would cut"));
  EXPECT_THAT(error("constraint: {kind: clip}\ndiscriminator: {quantizer: wnq}\nquantizer: {scale: fixed}\n"),
              HasSubstr("what the weights are clipped to is divided out again"));
  EXPECT_EQ(error("constraint: {kind: clip}\ndiscriminator: {quantizer: wnq}\nquantizer: {scale: fitted}\n"),
            "no error");
  EXPECT_THAT(error("quantizer: {bits: 1}\n"), HasSubstr("quantizer.bits: got 1, allowed: 0 or 2 to 8."));
  EXPECT_THAT(error("quantizer: {activation_bits: 4}\n"), HasSubstr("but generator.quantizer is none"));
  EXPECT_THAT(error("loss: relativistic\ntrain: {batch: 4, generator_batch: 8}\n"),
              HasSubstr("pairs generated samples with real ones"));
  EXPECT_THAT(error("sample: {weights: ema}\nema: {decay: 0}\n"), HasSubstr("no averaged weights are kept"));
  EXPECT_THAT(error("data: {kind: archive}\n"), HasSubstr("data.kind is archive, but data.path is empty"));
  EXPECT_EQ(error("loss: relativistic\ntrain: {batch: 4, generator_batch: 4}\n"), "no error");
}

TEST(DumpConfig, ReadsBackBitForBit) {
  std::mt19937 random(0);
  for (int i = 0; i < 500; ++i) {
    const Config config = compatible(random_config(random));
    const std::string text = dump_config(config);
    SCOPED_TRACE(text);
    const Config again = parse_config(text, "dump");
    for (const Key& key : schema()) ASSERT_EQ(key.get(again), key.get(config)) << key.name;
    ASSERT_EQ(numbers(again), numbers(config));
    ASSERT_EQ(dump_config(again), text);
  }
}

TEST(DumpConfig, HasEveryKeyOnceInOrder) {
  const std::string text = dump_config(Config{});
  EXPECT_EQ(std::ranges::count(text, '\n'), 22 + static_cast<int64_t>(schema().size()))
      << "a line for each key and each of the twenty-two sections";
  EXPECT_THAT(text, StartsWith("name: run\nseed: 0\ndevice: auto\n"));
  EXPECT_THAT(text, HasSubstr("data:\n  kind: digits\n  path: \"\"\n"));
  EXPECT_THAT(text, HasSubstr("penalties: []\nconstraint:\n  kind: none\n"));
  EXPECT_THAT(text, HasSubstr("optimizer:\n  generator:\n    kind: adam\n"));
  EXPECT_THAT(text, HasSubstr("  critic_steps: 1\n  boost:\n    critic_steps: 0\n"));
}

TEST(DescribeKeys, NamesEveryKeyWithinAHundredColumns) {
  const std::string text = describe_keys();
  const std::string markdown = describe_keys_markdown();
  for (const Key& key : schema()) {
    EXPECT_THAT(text, HasSubstr("\n" + key.name + " "));
    EXPECT_THAT(markdown, HasSubstr("| `" + key.name + "` | " + std::string(type_name(key.type))));
  }
  for (const auto& key : penalty_schema()) EXPECT_THAT(text, HasSubstr("\npenalties[]." + key.name + " "));
  EXPECT_THAT(text, HasSubstr("integer, default 64; 2 to 65536\n"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 100u) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
}

TEST(ParseResolvedConfig, ReadsNoOtherFile) {
  const Config config = parse_config("seed: 4", "text");
  EXPECT_EQ(differing_keys(parse_resolved_config(dump_config(config), "checkpoint"), config),
            std::vector<std::string>{});
  try {
    parse_resolved_config("extends: /etc/passwd", "checkpoint");
    ADD_FAILURE() << "extends was followed";
  } catch (const UserError& error) {
    EXPECT_EQ(std::string(error.what()),
              "checkpoint: got extends, which no resolved config has; the file was altered.");
  }
}

TEST(DifferingKeys, NamesThem) {
  const Config a = parse_config("seed: 4\nloss: wgan", "a");
  const Config b = parse_config("seed: 4\npenalties: [{kind: gp}]", "b");
  EXPECT_EQ(differing_keys(a, b), (std::vector<std::string>{"loss", "penalties"}));
}

TEST(DifferingRunKeys, AreNotThoseOfTheMachine) {
  const Config a = parse_config("seed: 4", "a");
  const Config b = parse_config("seed: 5\ndevice: cpu\nexecution: eager\ndata: {memory: stream}", "b");
  EXPECT_EQ(differing_keys(a, b), (std::vector<std::string>{"seed", "device", "execution", "data.memory"}));
  EXPECT_EQ(differing_run_keys(a, b), (std::vector<std::string>{"seed"}));
}

TEST(ParseConfig, RefusesTextThatIsNotUtf8) {
  EXPECT_NO_THROW(parse_config("name: \"Grün €\"", "text"));
  for (const std::string bad : {"name: \xff", "name: \xc3", "name: \xe2\x82", "name: \x80"}) {
    try {
      parse_config(bad, "text");
      ADD_FAILURE() << "accepted";
    } catch (const UserError& error) {
      EXPECT_NE(std::string(error.what()).find("not in UTF-8"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace sgan
