#include "configs/schema.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <random>
#include <set>

#include "configs/error.h"
#include "tests/configs/random_config.h"

namespace sgan {
namespace {

// ---- How many members an aggregate has: the most initializers that it takes ---------------------------------------

struct Anything {
  template <class T>
  operator T() const;
};

template <class T, class... Initializers>
constexpr size_t count_members() {
  if constexpr (requires { T{Initializers{}..., Anything{}}; }) {
    return count_members<T, Initializers..., Anything>();
  } else {
    return sizeof...(Initializers);
  }
}

// The names directly below each section, "" being the whole config.
std::map<std::string, std::set<std::string>> names_by_section() {
  std::map<std::string, std::set<std::string>> sections;
  for (const Key& key : schema()) {
    std::string path = key.name;
    for (size_t dot = path.rfind('.'); dot != std::string::npos; dot = path.rfind('.')) {
      sections[path.substr(0, dot)].insert(path.substr(dot + 1));
      path.resize(dot);
    }
    sections[""].insert(path);
  }
  return sections;
}

TEST(Schema, DescribesEveryMember) {
  const std::map<std::string, size_t> members{
      {"", count_members<Config>()},
      {"data", count_members<DataOptions>()},
      {"generator", count_members<GeneratorOptions>()},
      {"discriminator", count_members<DiscriminatorOptions>()},
      {"spectral", count_members<SpectralOptions>()},
      {"weight_norm", count_members<WeightNormOptions>()},
      {"quantizer", count_members<QuantizerOptions>()},
      {"init", count_members<InitOptions>()},
      {"constraint", count_members<ConstraintOptions>()},
      {"optimizer", count_members<OptimizersOptions>()},
      {"optimizer.generator", count_members<OptimizerOptions>()},
      {"optimizer.discriminator", count_members<OptimizerOptions>()},
      {"schedule", count_members<ScheduleOptions>()},
      {"ema", count_members<EmaOptions>()},
      {"train", count_members<TrainOptions>()},
      {"train.boost", count_members<CriticBoostOptions>()},
      {"log", count_members<Cadence>()},
      {"sample", count_members<SampleOptions>()},
      {"checkpoint", count_members<CheckpointOptions>()},
      {"lipschitz", count_members<LipschitzOptions>()},
      {"evaluation", count_members<EvaluationOptions>()},
      {"watchdog", count_members<WatchdogOptions>()},
      {"parallel", count_members<ParallelOptions>()},
  };
  ASSERT_EQ(members.at("train.boost"), 3u);  // the counting itself
  std::map<std::string, size_t> described;
  for (const auto& [section, names] : names_by_section()) described[section] = names.size();
  EXPECT_EQ(described, members);
  EXPECT_EQ(penalty_schema().size(), count_members<PenaltyOptions>());
}

TEST(Schema, SectionsStandTogetherAndNamesAreUnique) {
  std::set<std::string> names;
  std::set<std::string> closed;
  std::string open;
  for (const Key& key : schema()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    const std::string section = key.name.substr(0, key.name.find('.'));
    if (section != open) {
      EXPECT_TRUE(closed.insert(section).second) << key.name;
    }
    open = section;
  }
}

template <class Owner>
void expect_described(const std::vector<KeyOf<Owner>>& keys) {
  for (const auto& key : keys) {
    EXPECT_GE(key.help.size(), 10u) << key.name;
    EXPECT_TRUE(key.help.ends_with('.')) << key.name;
    EXPECT_TRUE(std::isupper(static_cast<unsigned char>(key.help.front())) || key.help.find(": ") != std::string::npos)
        << key.name;
    EXPECT_FALSE(key.allowed.empty()) << key.name;
    EXPECT_EQ(key.help.find('|'), std::string::npos) << key.name << ": breaks the Markdown table";
    EXPECT_NE(type_name(key.type), "?") << key.name;
  }
}

TEST(Schema, EveryKeyHasHelpAndAllowedValues) {
  expect_described(schema());
  expect_described(penalty_schema());
}

// The paper's full text was not at hand, and nobody may take the quantizer for the authors' own.
TEST(Schema, CallsWnqAReconstruction) {
  int named = 0;
  for (const Key& key : schema()) {
    if (key.help.find("wnq") == std::string::npos) continue;
    ++named;
    EXPECT_NE(key.help.find("reconstruct"), std::string::npos) << key.name << ": " << key.help;
  }
  EXPECT_GE(named, 5);  // both networks' quantizer, bits, first_last_bits, scale
}

TEST(Schema, EveryKeyAcceptsItsDefault) {
  for (const Key& key : schema()) {
    if (key.type == KeyType::list) continue;
    Config config;
    EXPECT_NO_THROW(key.set(config, key.get(Config{}))) << key.name;
  }
}

// A key that wrote to another key's member would change two.
TEST(Schema, EveryKeyChangesItsOwnMemberAlone) {
  std::mt19937 random(0);
  for (const Key& key : schema()) {
    if (key.type == KeyType::list) continue;
    if (key.type == KeyType::choice && key.allowed.find(", ") == std::string::npos) continue;  // one value so far
    Config config;
    ASSERT_TRUE(change(key, config, random)) << key.name << ": no value but the default was found";
    for (const Key& other : schema()) {
      EXPECT_EQ(other.get(config) != other.get(Config{}), other.name == key.name) << key.name << " and " << other.name;
    }
  }
}

TEST(Schema, EveryChoiceAcceptsEachOfItsNames) {
  Config config;
  for (const Key& key : schema()) {
    if (key.type != KeyType::choice) continue;
    std::string rest = key.allowed;
    while (!rest.empty()) {
      const std::string name = rest.substr(0, rest.find(", "));
      key.set(config, name);
      EXPECT_EQ(key.get(config), name);
      rest.erase(0, name.size() + 2);
    }
    EXPECT_THROW(key.set(config, "no such name"), UserError) << key.name;
    EXPECT_THROW(key.set(config, ""), UserError) << key.name;
  }
}

struct Case {
  std::string key;
  std::vector<std::string> accepted;
  std::vector<std::string> refused;
};

TEST(Schema, RangesHoldAtTheirEnds) {
  const std::string longest(100, 'n');
  const std::vector<Case> cases{
      {"name", {"a", "größe 1", longest}, {"", "a/b", ".hidden", "..", "a\nb", longest + "n"}},
      {"seed", {"0", "9223372036854775807", "+5"}, {"-1", "9223372036854775808", "1.0", "1e3", "0x1", "", " 1", "1 "}},
      {"device",
       {"auto", "cpu", "cuda", "cuda:0", "cuda:15"},
       {"gpu", "cuda:", "cuda:x", "cuda:100", "cuda:-1", "CPU"}},
      {"threads", {"0", "1024"}, {"-1", "1025"}},
      {"output", {"a", "/a b"}, {""}},
      {"data.path", {"", "/a b"}, {std::string("a\0b", 3)}},
      {"data.size", {"0", "256"}, {"-1", "257"}},
      {"data.std", {"1e-300", "+2", "3"}, {"0", "-1", "nan", ".nan", "inf", "-.inf", "1e400", "1_0", "+-1", ""}},
      {"data.flip", {"true", "false"}, {"yes", "on", "True", "1", ""}},
      {"generator.latent", {"1", "4096"}, {"0", "4097"}},
      {"optimizer.generator.beta1", {"0", "0.999999"}, {"1", "-0.1"}},
      {"optimizer.discriminator.lr", {"2e-4", "2E-4", "3.39e38"}, {"0", "2e-4f", "abc", "3.4e38", "1e39"}},
      {"constraint.clip", {"1e-30", "3.39e38"}, {"0", "3.4e38", "1e39"}},
      {"ema.decay", {"0", "0.9999"}, {"1"}},
      {"train.steps", {"1", "1000000000"}, {"0", "1000000001"}},
      {"train.batch", {"2", "65536"}, {"1", "65537"}},
      {"train.boost.critic_steps", {"0", "100"}, {"-1"}},
      {"sample.count", {"1", "1024"}, {"0", "1025"}},
      {"checkpoint.keep", {"1"}, {"0"}},
      {"lipschitz.every", {"0"}, {"-1"}},
  };
  for (const auto& [name, accepted, refused] : cases) {
    const auto key = std::ranges::find(schema(), name, &Key::name);
    ASSERT_NE(key, schema().end()) << name;
    Config config;
    for (const std::string& text : accepted) EXPECT_NO_THROW(key->set(config, text)) << name << " = " << text;
    for (const std::string& text : refused) EXPECT_THROW(key->set(config, text), UserError) << name << " = " << text;
  }
}

TEST(Schema, ARefusedValueChangesNothingAndSaysWhatIsAllowed) {
  const auto loss = std::ranges::find(schema(), "loss", &Key::name);
  Config config;
  config.loss = LossKind::wgan;
  try {
    loss->set(config, "hnge");
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(),
                 "got 'hnge', allowed: ns, minimax, wgan, hinge, lsgan, relativistic; did you mean 'hinge'?");
    EXPECT_EQ(error.kind(), UserError::Kind::usage);
  }
  EXPECT_EQ(config.loss, LossKind::wgan);
}

TEST(Schema, NumbersKeepTheirBitsAndAPointBeforeTheExponent) {
  const auto scale = std::ranges::find(schema(), "spectral.scale", &Key::name);
  Config config;
  for (const double value : {0.1, 1.0 / 3.0, 5e-324, 1e-8, 1.7976931348623157e308, 1e22, 3.0}) {
    config.spectral.scale = value;
    Config other;
    scale->set(other, scale->get(config));
    EXPECT_EQ(other.spectral.scale, value) << scale->get(config);
  }
  config.spectral.scale = 1e-8;
  EXPECT_EQ(scale->get(config), "1.0e-08");
}

}  // namespace
}  // namespace sgan
