#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sgan {

// How often a part stands in a text.
size_t count(const std::string& text, const std::string& part);

// A temporary folder in which tests lay out run folders by hand.
class RunFixture : public testing::Test {
 protected:
  RunFixture();
  ~RunFixture() override;

  // Writes bytes to root/path and makes the folders that it needs.
  void write(const std::filesystem::path& path, std::string_view bytes) const;
  // A run with run.json and config.yaml; other files are the test's. Returns its folder.
  std::filesystem::path make_run(const std::string& folder, const std::string& strategy, int seed = 0) const;

  std::filesystem::path root;
};

}  // namespace sgan
