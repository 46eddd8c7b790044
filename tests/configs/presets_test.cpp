#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "configs/loader.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

const fs::path kConfigs = fs::path(SGAN_SOURCE_DIR) / "configs";

TEST(Presets, EachLoadsAndItsDumpReadsBack) {
  size_t presets = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kConfigs)) {
    if (entry.path().extension() != ".yaml" || entry.path().parent_path().filename() == "compare") continue;
    SCOPED_TRACE(entry.path().string());
    ++presets;
    const std::string text = dump_config(load_config(entry.path()));
    EXPECT_EQ(dump_config(parse_config(text, "dump")), text);
    std::string first_line;
    std::getline(std::ifstream(entry.path()), first_line);
    EXPECT_TRUE(first_line.starts_with("# ")) << "a preset begins with its source or purpose";
  }
  EXPECT_GE(presets, 10u);
}

TEST(Presets, BaseShowsTheDefaults) {
  EXPECT_EQ(dump_config(load_config(kConfigs / "base.yaml")), dump_config(Config{}));
}

// What is compared must differ in nothing but the strategy.
TEST(Presets, DigitsStrategiesDifferInTheDiscriminatorAlone) {
  const std::string base = dump_config(load_config(kConfigs / "digits/base.yaml"));
  for (const char* strategy : {"none", "clip", "gp", "spectral"}) {
    Config config = load_config(kConfigs / "digits" / (std::string(strategy) + ".yaml"));
    EXPECT_EQ(config.name, std::string("digits-") + strategy);
    EXPECT_EQ(config.discriminator.weight == WeightKind::spectral, strategy == std::string("spectral"));
    EXPECT_EQ(config.constraint.kind == ConstraintKind::clip, strategy == std::string("clip"));
    EXPECT_EQ(config.penalties.size(), strategy == std::string("gp") ? 1u : 0u);
    config.name = "digits";
    config.discriminator.weight = WeightKind::spectral;
    config.constraint = {};
    config.penalties.clear();
    EXPECT_EQ(dump_config(config), base) << strategy;
  }
}

// The lines "#   A  key=value …" of sngan-cnn.yaml.
std::map<char, std::vector<std::string>> published_settings() {
  std::map<char, std::vector<std::string>> settings;
  std::ifstream file(kConfigs / "cifar10/sngan-cnn.yaml");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("#   ") || line.size() < 6 || line[5] != ' ') continue;
    std::istringstream words(line.substr(6));
    auto& overrides = settings[line[4]];
    for (std::string word; words >> word;) {
      if (word.find('=') != std::string::npos) overrides.push_back(word);
    }
  }
  return settings;
}

// Miyato et al. 2018, table 1.
TEST(Presets, SettingsAToFAreThePapers) {
  struct Setting {
    double lr, beta1, beta2;
    int64_t critic_steps;
  };
  const std::map<char, Setting> paper{{'A', {1e-4, 0.5, 0.9, 5}},   {'B', {1e-4, 0.5, 0.999, 1}},
                                      {'C', {2e-4, 0.5, 0.999, 1}}, {'D', {1e-3, 0.5, 0.9, 5}},
                                      {'E', {1e-3, 0.5, 0.999, 5}}, {'F', {1e-3, 0.9, 0.999, 5}}};
  const auto settings = published_settings();
  ASSERT_EQ(settings.size(), paper.size());
  for (const auto& [name, setting] : paper) {
    SCOPED_TRACE(name);
    const Config config = load_config(kConfigs / "cifar10/sngan-cnn.yaml", settings.at(name));
    for (const OptimizerOptions& optimizer : {config.optimizer.generator, config.optimizer.discriminator}) {
      EXPECT_EQ(optimizer.kind, OptimizerKind::adam);
      EXPECT_EQ(optimizer.lr, setting.lr);
      EXPECT_EQ(optimizer.beta1, setting.beta1);
      EXPECT_EQ(optimizer.beta2, setting.beta2);
    }
    EXPECT_EQ(config.train.critic_steps, setting.critic_steps);
  }
}

TEST(Presets, CifarPresetsNameTheirSourceAndNumbers) {
  for (const char* name : {"dcgan", "wgan-clip", "wgan-gp", "sngan-cnn", "sngan-cnn-hinge", "sngan-resnet", "lsgan",
                           "dragan", "r3gan-losses"}) {
    SCOPED_TRACE(name);
    const fs::path path = kConfigs / "cifar10" / (std::string(name) + ".yaml");
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    EXPECT_NE(text.str().find("et al. 20"), std::string::npos);
    EXPECT_NE(text.str().find("# For orientation"), std::string::npos);
    const Config config = load_config(path);
    EXPECT_EQ(config.name, std::string("cifar10-") + name);
    EXPECT_EQ(config.data.size, 32);
  }
}

}  // namespace
}  // namespace sgan
