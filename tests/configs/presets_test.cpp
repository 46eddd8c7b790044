#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "configs/loader.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

const fs::path kConfigs = fs::path(SGAN_SOURCE_DIR) / "configs";

TEST(Presets, EachLoadsAndItsDumpReadsBack) {
  size_t presets = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kConfigs)) {
    if (entry.path().extension() != ".yaml") continue;
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

}  // namespace
}  // namespace sgan
