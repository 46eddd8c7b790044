#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

namespace sgan {

// An empty folder that is removed at the end of the test.
class TemporaryFolder {
 public:
  TemporaryFolder() : path_(::testing::TempDir() + "sgan-XXXXXX") { path_ = ::mkdtemp(path_.data()); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  std::filesystem::path operator/(const std::string& name) const { return std::filesystem::path(path_) / name; }
  std::filesystem::path path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace sgan
